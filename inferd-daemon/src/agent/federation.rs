//! Upstream servers as sessions know them: their tools as executors, their threads in the daemon's keeping.
//!
//! Invariants:
//! - A tool is called by its full name, once a call; dropping a call cancels it on its server.
//! - Only tools that can be called now are offered: a server that is away has none, and says why.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use inferd_engine::servers::{ApiError, Room, ServerApi, ServerConnection, Thread, ThreadKey};
use inferd_engine::tools::{
    ClientTool, FederatedToolRegistry, Report, ToolError, ToolExecutor, ToolInvocation, ToolOutput,
    ToolRegistry, ToolResolver, portable_name,
};
use inferd_proto::{Block, Body, Message};
use serde_json::Value;
use tokio::time::Instant;

use super::rooms::Rooms;
use super::threads::Threads;
use crate::upstream::{CallError, CallResult, Offer, State, Upstreams};

/// Rooms and threads of one server, and the tools that it has upstream, if it is one of those.
#[derive(Debug)]
pub(super) struct Federated {
    /// Whose tools; `None`: the daemon itself has none.
    pub(super) upstream: Option<(String, Upstreams)>,
    pub(super) rooms: Rooms,
    pub(super) threads: Threads,
}

#[async_trait]
impl ServerApi for Federated {
    async fn rooms(&self) -> Result<Vec<Room>, ApiError> {
        Ok(self.rooms.all())
    }

    async fn room(&self, room_id: &str) -> Result<Room, ApiError> {
        self.rooms.get(room_id)
    }

    /// The thread in which whoever asks has taken a place.
    async fn open_thread(&self, _room_id: &str, thread_id: Option<&str>) -> Result<Thread, ApiError> {
        let id = thread_id.unwrap_or_default().to_owned();
        match self.threads.messages(&id) {
            Some(messages) => Ok(Thread { id, messages }),
            None => Err(ApiError::UnknownThread(id)),
        }
    }

    async fn keep(&self, thread: &ThreadKey, added: &[Message]) -> Result<(), ApiError> {
        if self.threads.append(thread, added, Instant::now()) {
            Ok(())
        } else {
            Err(ApiError::UnknownThread(thread.thread_id.clone()))
        }
    }

    async fn tools(&self, _room_id: &str) -> Result<ToolRegistry, ApiError> {
        let Some((id, upstreams)) = &self.upstream else { return Ok(ToolRegistry::new()) };
        let catalogue = upstreams.catalogue();
        let Some(server) = catalogue.server(id) else {
            return Err(ApiError::Unavailable(format!("server `{id}` is not there yet")));
        };
        if server.condition.state != State::Live {
            let reason = server.condition.last_error.as_deref().unwrap_or("it has not answered yet");
            return Err(ApiError::Unavailable(format!("server `{id}` is not connected: {reason}")));
        }
        let tools = catalogue.tools.iter().filter(|tool| tool.server == *id && !tool.stale);
        let tools = ToolRegistry::from_tools(tools.map(|tool| executable(tool, upstreams)));
        tools.map_err(|error| ApiError::Unavailable(error.to_string()))
    }
}

/// The tools of one server, by their full names.
#[derive(Debug)]
pub(super) struct ToolsOf(pub(super) ServerConnection);

#[async_trait]
impl ToolResolver for ToolsOf {
    async fn tools(&self, room: &str) -> Result<ToolRegistry, ToolError> {
        let tools =
            self.0.api.tools(room).await.map_err(|error| ToolError::Unavailable(error.to_string()))?;
        let of_all = BTreeMap::from([(self.0.server_id.clone(), tools)]);
        Ok(FederatedToolRegistry::merge(of_all).to_tool_registry())
    }
}

/// The tools of another resolver, without those that a model could not tell from one before them: a server names its tools
/// as it likes, and one name too many is not to cost a turn all the others.
pub(super) struct ToldApart(pub(super) Arc<dyn ToolResolver>);

#[async_trait]
impl ToolResolver for ToldApart {
    async fn tools(&self, room: &str) -> Result<ToolRegistry, ToolError> {
        let tools = self.0.tools(room).await?;
        let mut names = HashSet::with_capacity(tools.len());
        Ok(tools.filtered(|tool| {
            let is_first = names.insert(portable_name(tool));
            if !is_first {
                tracing::warn!(tool, "a tool is left out: a model could not tell it from another");
            }
            is_first
        }))
    }
}

fn executable(tool: &Offer, upstreams: &Upstreams) -> ClientTool {
    let schema = tool.input_schema().cloned().unwrap_or_default();
    let runs = Upstream { upstreams: upstreams.clone(), name: tool.name.as_str().into() };
    ClientTool::new(tool.own_name.as_str(), tool.description().unwrap_or_default(), schema, runs)
}

/// Calls one tool of an upstream server.
struct Upstream {
    upstreams: Upstreams,
    name: Arc<str>,
}

#[async_trait]
impl ToolExecutor for Upstream {
    async fn execute(&self, call: ToolInvocation) -> Result<ToolOutput, ToolError> {
        let ToolInvocation { arguments, progress } = call;
        let report = |said: crate::upstream::Progress| {
            progress.report(Report { progress: said.progress, total: said.total, message: said.message });
        };
        let result = self.upstreams.call(&self.name, Some(arguments), report).await?;
        Ok(readable(result))
    }
}

impl From<CallError> for ToolError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Unknown { name, .. } => Self::Unknown(name),
            CallError::TimedOut { after, .. } => Self::TimedOut(after),
            CallError::NotConnected { .. } | CallError::Busy { .. } | CallError::Lost { .. } => {
                Self::Unavailable(error.to_string())
            }
            CallError::Refused { .. } | CallError::Malformed { .. } => Self::Failed(error.to_string()),
        }
    }
}

/// A result as a model reads it: text and images as they are, and in words what it could not take.
fn readable(result: CallResult) -> ToolOutput {
    let CallResult { content, structured, is_error, .. } = result;
    let mut blocks: Vec<Block> = content.into_iter().map(block).collect();
    if blocks.is_empty()
        && let Some(structured) = structured
    {
        blocks.push(Block::Text { text: structured.to_string() });
    }
    let body = if blocks.iter().all(|block| matches!(block, Block::Text { .. })) {
        let texts = blocks.into_iter().filter_map(|block| match block {
            Block::Text { text } => Some(text),
            Block::Image { .. } => None,
        });
        Body::Text(texts.collect::<Vec<_>>().join("\n"))
    } else {
        Body::Blocks(blocks)
    };
    ToolOutput { body, is_error }
}

fn block(mut content: Value) -> Block {
    let mut take = |at: &str| match content.pointer_mut(at).map(Value::take) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let text = match take("/type").as_str() {
        "text" => take("/text"),
        "image" => {
            let mime = take("/mimeType");
            if mime.starts_with("image/") {
                return Block::Image { mime, data: take("/data") };
            }
            format!("[an image of type {mime} is not shown]")
        }
        "audio" => format!("[audio of type {} is not shown]", take("/mimeType")),
        "resource_link" => format!("[resource {} at {}]", take("/name"), take("/uri")),
        "resource" => match take("/resource/text") {
            text if !text.is_empty() => text,
            _ => "[a binary resource is not shown]".to_owned(),
        },
        other => format!("[what is of type {other:?} is not shown]"),
    };
    Block::Text { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(content: Value, structured: Option<Value>) -> Body {
        let Value::Array(content) = content else { panic!("a list of content") };
        readable(CallResult { content, structured, is_error: false, meta: None }).body
    }

    #[test]
    fn a_model_reads_text_and_sees_images_and_is_told_of_what_it_cannot_have() {
        let text = |text: &str| json!({ "type": "text", "text": text });
        let image = json!({ "type": "image", "mimeType": "image/png", "data": "AA==" });
        assert_eq!(read(json!([text("a"), text("b")]), None), Body::Text("a\nb".to_owned()));
        let blocks = read(json!([text("a"), image]), None);
        let seen = Block::Image { mime: "image/png".to_owned(), data: "AA==".to_owned() };
        assert_eq!(blocks, Body::Blocks(vec![Block::Text { text: "a".to_owned() }, seen]));
        let others = json!([
            { "type": "audio", "mimeType": "audio/wav", "data": "AA==" },
            { "type": "resource_link", "name": "notes", "uri": "file:///n" },
            { "type": "resource", "resource": { "uri": "file:///m", "text": "milk" } },
            { "type": "resource", "resource": { "uri": "file:///b", "blob": "AA==" } },
            { "type": "image", "mimeType": "text/html", "data": "<" },
            3,
        ]);
        let Body::Text(words) = read(others, None) else { panic!("only words") };
        insta::assert_snapshot!(words, @r#"
        [audio of type audio/wav is not shown]
        [resource notes at file:///n]
        milk
        [a binary resource is not shown]
        [an image of type text/html is not shown]
        [what is of type "" is not shown]
        "#);
    }

    #[test]
    fn a_result_that_is_only_a_value_is_read_as_json() {
        assert_eq!(read(json!([]), Some(json!({ "sum": 3 }))), Body::Text(r#"{"sum":3}"#.to_owned()));
        assert_eq!(read(json!([]), None), Body::Text(String::new()));
    }
}

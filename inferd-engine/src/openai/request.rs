//! The body of `/v1/chat/completions`, written straight from a borrowed request.
//!
//! Invariant: nothing is written for an option the request does not have.

use inferd_proto::{
    Block, Body, Message, Resolved, ResponseFormat as Format, Role, Tool, ToolCall, ToolChoice,
};
use serde::ser::{SerializeSeq, SerializeStruct};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::remote::is_streamed;

#[derive(Serialize)]
pub(super) struct Chat<'a> {
    model: &'a str,
    messages: Messages<'a>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    /// Not OpenAI's own, but most other servers take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    /// What OpenAI itself calls `max_tokens` since its models reason; few others know the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
    #[serde(skip_serializing_if = "<[Tool]>::is_empty")]
    tools: &'a [Tool],
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<&'a ToolChoice>,
    /// llama-server's; others refuse it, which is better than an answer of another shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    grammar: Option<&'a str>,
}

/// Whose server it is. The protocol has two readings in what few points they differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    /// OpenAI's own, which refuses names that it does not know.
    OpenAis,
    /// Any other, which passes over them, as a rule.
    Another,
}

impl Server {
    /// The server at `host`: OpenAI's own are its API in any region, and what Microsoft runs of it.
    pub(super) fn at(host: &str) -> Self {
        let host = host.to_ascii_lowercase();
        let own = host == "api.openai.com"
            || [".api.openai.com", ".openai.azure.com"].iter().any(|end| host.ends_with(end));
        if own { Self::OpenAis } else { Self::Another }
    }
}

impl<'a> Chat<'a> {
    pub(super) fn new(request: &'a Resolved, model: &'a str, server: Server) -> Self {
        let (max_tokens, max_completion_tokens) = match server {
            Server::OpenAis => (None, request.max_tokens),
            Server::Another => (request.max_tokens, None),
        };
        Self {
            model,
            messages: Messages(&request.messages),
            stream: is_streamed(request),
            stream_options: is_streamed(request).then_some(StreamOptions { include_usage: true }),
            temperature: request.temperature,
            top_p: request.top_p,
            top_k: request.top_k,
            max_tokens,
            max_completion_tokens,
            stop: &request.stop,
            seed: request.seed,
            response_format: request.response_format.as_ref().map(ResponseFormat::from),
            tools: &request.tools,
            tool_choice: request.tool_choice.as_ref(),
            grammar: request.grammar.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponseFormat<'a> {
    JsonObject,
    JsonSchema { json_schema: Named<'a> },
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'static str,
    schema: &'a Value,
    strict: bool,
}

impl<'a> From<&'a Format> for ResponseFormat<'a> {
    fn from(format: &'a Format) -> Self {
        match format {
            Format::JsonObject => Self::JsonObject,
            Format::JsonSchema { schema } => {
                Self::JsonSchema { json_schema: Named { name: "answer", schema, strict: true } }
            }
        }
    }
}

struct Messages<'a>(&'a [Message]);

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Turn::from))
    }
}

#[derive(Serialize)]
struct Turn<'a> {
    role: Role,
    content: Option<Content<'a>>,
    #[serde(skip_serializing_if = "<[ToolCall]>::is_empty")]
    tool_calls: &'a [ToolCall],
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

impl<'a> From<&'a Message> for Turn<'a> {
    fn from(message: &'a Message) -> Self {
        let said = &message.content;
        // A turn that only calls tools has the content null: some servers refuse it empty.
        let silent = !said.tool_calls.is_empty() && !said.has_images() && said.text().is_empty();
        Self {
            role: message.role,
            content: (!silent).then_some(Content(said)),
            tool_calls: &said.tool_calls,
            tool_call_id: said.tool_call_id.as_deref(),
        }
    }
}

/// A string wherever it can be one: not every server takes parts, and those without images need none.
struct Content<'a>(&'a inferd_proto::Content);

impl Serialize for Content<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.body {
            Body::Blocks(blocks) if self.0.has_images() => {
                let mut parts = serializer.serialize_seq(Some(blocks.len()))?;
                for block in blocks {
                    parts.serialize_element(&Part::from(block))?;
                }
                parts.end()
            }
            Body::Text(_) | Body::Blocks(_) => serializer.serialize_str(&self.0.text()),
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: DataUrl<'a> },
}

impl<'a> From<&'a Block> for Part<'a> {
    fn from(block: &'a Block) -> Self {
        match block {
            Block::Text { text } => Self::Text { text },
            Block::Image { mime, data } => Self::ImageUrl { image_url: DataUrl { mime, data } },
        }
    }
}

struct DataUrl<'a> {
    mime: &'a str,
    data: &'a str,
}

impl Serialize for DataUrl<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// Written piece by piece: images are large.
        struct Url<'a>(&'a DataUrl<'a>);

        impl Serialize for Url<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&format_args!("data:{};base64,{}", self.0.mime, self.0.data))
            }
        }

        let mut object = serializer.serialize_struct("image_url", 1)?;
        object.serialize_field("url", &Url(self))?;
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_tokens_is_called_as_the_server_calls_it() {
        let request = Resolved { max_tokens: Some(7), ..Resolved::default() };
        for (host, name, other) in [
            ("api.openai.com", "max_completion_tokens", "max_tokens"),
            ("EU.api.openai.com", "max_completion_tokens", "max_tokens"),
            ("mine.openai.azure.com", "max_completion_tokens", "max_tokens"),
            ("127.0.0.1", "max_tokens", "max_completion_tokens"),
            ("notapi.openai.com", "max_tokens", "max_completion_tokens"),
            ("api.openai.com.example", "max_tokens", "max_completion_tokens"),
        ] {
            let sent = serde_json::to_value(Chat::new(&request, "m", Server::at(host))).unwrap();
            assert_eq!((&sent[name], sent.get(other)), (&Value::from(7), None), "{host}");
        }
    }
}

//! What MCP clients may call: a table of tools, each with its name, its schemas and what runs it.
//!
//! A call enters, its result leaves. A tool that cannot do what was asked says so in its result, as a [`Failure`];
//! an error of the protocol is only what is no call of a tool at all.
//!
//! Invariants:
//! - Every tool that generates or embeds goes through [`crate::answer`], under the caller's own account.
//! - An argument that is unknown or wrong is named, as it is named on the wire.
//! - A call that is cancelled is dropped, and with it its place, its permit and its generation.

mod embed;
mod failure;
mod fields;
mod generate;
mod lend;
mod look;
mod racing;

use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use rmcp::ErrorData;
use rmcp::model::{
    CallToolResponse, CallToolResult, ContentBlock, InputResponses, JsonObject, Tool, ToolAnnotations,
};
use serde::Serialize;
use serde_json::Value;

use super::handler::Caller;
pub(crate) use failure::Failure;
pub(crate) use look::{models, status};

/// One call of a tool.
#[derive(Debug)]
pub(crate) struct Call {
    /// The arguments, as they came.
    pub(crate) arguments: JsonObject,
    /// What was asked of the client when it made this call before, answered.
    pub(crate) answers: Option<InputResponses>,
    /// What it was given then to come back with.
    pub(crate) state: Option<String>,
    /// Whose call it is, and how they are reached while it runs.
    pub(crate) caller: Caller,
}

type Run = dyn Fn(Call) -> BoxFuture<'static, Result<CallToolResponse, ErrorData>> + Send + Sync;

/// A tool: what is said of it, and what runs it.
#[derive(Clone)]
pub(crate) struct Offered {
    pub(crate) tool: Tool,
    run: Arc<Run>,
}

impl std::fmt::Debug for Offered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Offered").field("tool", &self.tool).finish_non_exhaustive()
    }
}

impl Offered {
    /// A tool that is run by `run`.
    pub(crate) fn new<R>(tool: Tool, run: impl Fn(Call) -> R + Send + Sync + 'static) -> Self
    where
        R: Future<Output = Result<CallToolResponse, ErrorData>> + Send + 'static,
    {
        Self { tool, run: Arc::new(move |call| Box::pin(run(call))) }
    }

    /// A tool of the daemon's own: its result, or what kept it from one.
    fn own<R>(tool: Tool, run: impl Fn(Call) -> R + Send + Sync + Clone + 'static) -> Self
    where
        R: Future<Output = Result<CallToolResult, Failure>> + Send + 'static,
    {
        Self::new(tool, move |call| {
            let running = run(call);
            async move { Ok(running.await.unwrap_or_else(CallToolResult::from).into()) }
        })
    }

    /// Runs a call to its result.
    pub(crate) async fn call(&self, call: Call) -> Result<CallToolResponse, ErrorData> {
        (self.run)(call).await
    }
}

/// Every tool there is, in the order they are listed.
#[derive(Debug, Clone)]
pub(crate) struct Tools(Vec<Offered>);

impl Tools {
    /// The daemon's own.
    pub(crate) fn own() -> Self {
        Self(vec![generate::tool(), embed::tool(), look::list_models(), look::daemon_status(), lend::tool()])
    }

    /// What is said of each.
    pub(crate) fn list(&self) -> Vec<Tool> {
        self.0.iter().map(|offered| offered.tool.clone()).collect()
    }

    /// The tool of this name.
    pub(crate) fn find(&self, name: &str) -> Option<&Offered> {
        self.0.iter().find(|offered| offered.tool.name == name)
    }
}

/// A tool of the daemon's own, as it is listed.
fn described(
    name: &'static str,
    title: &str,
    description: &'static str,
    (input, output): (Value, Value),
    reads_only: bool,
) -> Tool {
    let annotations = ToolAnnotations::new().read_only(reads_only).destructive(false).open_world(!reads_only);
    Tool::new(name, description, Arc::new(fields::schema(input)))
        .with_title(title)
        .with_raw_output_schema(Arc::new(fields::schema(output)))
        .with_annotations(annotations)
}

/// The result `value` for programs, and `text` for people and models.
fn answered(value: &impl Serialize, text: String) -> CallToolResult {
    let value = serde_json::to_value(value).expect("plain data is JSON");
    let mut result = CallToolResult::structured(value);
    result.content = vec![ContentBlock::text(text)];
    result
}

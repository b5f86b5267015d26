//! Tools: those of the daemon itself, each with its name, its schemas and what runs it; and those of upstream servers.
//!
//! A call enters, its result leaves. A tool that cannot do what was asked says so in its result, as a [`Failure`];
//! an error of the protocol is only what is no call of a tool at all.
//!
//! Invariants:
//! - Every tool that generates or embeds goes through [`crate::answer`], under the caller's own account.
//! - An argument that is unknown or wrong is named, as it is named on the wire.
//! - A call that is cancelled is dropped, and with it its place, its permit and its generation.

mod courier;
mod embed;
mod failure;
pub(super) mod federated;
mod fields;
mod generate;
mod lend;
mod look;
mod racing;
mod run_agent;
mod telling;

use std::future::Future;
use std::sync::Arc;

use rmcp::model::{CallToolResult, ContentBlock, Tool, ToolAnnotations};
use serde::Serialize;
use serde_json::Value;

pub(crate) use super::menu::Call;
pub(crate) use failure::Failure;
pub(crate) use look::{models, status};
pub(crate) use racing::{Ended, race};

/// A tool: what is said of it, and what runs it.
pub(crate) type Offered = super::menu::Offered<Tool>;

impl Offered {
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
}

/// The daemon's own, in the order they are listed.
pub(crate) fn own() -> Vec<Offered> {
    vec![
        generate::tool(),
        embed::tool(),
        look::list_models(),
        look::daemon_status(),
        run_agent::tool(),
        lend::tool(),
    ]
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

//! A model and a server that do as they are told, for whoever tests sessions.

mod api;
mod runs;

pub use api::{FakeApi, connection};
pub use runs::{ScriptedRuns, ScriptedTurn};

use serde_json::Map;

use crate::tools::{ClientTool, ToolExecutor};

/// A tool that takes anything.
#[must_use]
pub fn tool(name: &str, executor: impl ToolExecutor + 'static) -> ClientTool {
    let schema = Map::from_iter([("type".to_owned(), "object".into())]);
    ClientTool::new(name, format!("does {name}"), schema, executor)
}

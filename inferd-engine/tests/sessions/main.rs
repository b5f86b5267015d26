//! What is promised of sessions: what they do, what they leave, and who may end them.

mod calls;
mod crowds;
mod deadlines;
mod events;
mod leaving;
mod removal;
mod turns;
mod waits;

use std::sync::Arc;
use std::time::Duration;

use inferd_engine::servers::{
    AgentResult, AgentRuntime, Limits, MultiServerRuntime, RunStream, ServerConnection, ServerRegistry,
};
use inferd_engine::testing::servers::{FakeApi, ScriptedRuns, ScriptedTurn, connection, tool};
use inferd_engine::tools::{ClientTool, ToolError, ToolInvocation, ToolOutput, ToolRegistry, ToolResolver};
use inferd_proto::{Message, Resolved, Role};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn model(turns: impl IntoIterator<Item = ScriptedTurn>) -> Arc<ScriptedRuns> {
    Arc::new(ScriptedRuns::new(turns))
}

/// Calls these tools with no arguments, then says `done`.
fn calling<const N: usize>(names: [&str; N]) -> Arc<ScriptedRuns> {
    let calls = names.map(|name| (name.to_owned(), "{}".to_owned()));
    model([ScriptedTurn::Call(calls.into()), ScriptedTurn::say("done")])
}

/// The same tools in every room.
fn having<const N: usize>(tools: [ClientTool; N]) -> Arc<dyn ToolResolver> {
    let tools = ToolRegistry::from_tools(tools).expect("the names differ");
    Arc::new(move |_room: String| {
        let tools = tools.clone();
        async move { Ok::<_, ToolError>(tools) }
    })
}

/// A tool that answers with what it is called with.
fn echo(name: &str) -> ClientTool {
    tool(name, |call: ToolInvocation| async move {
        Ok(ToolOutput::from(serde_json::Value::from(call.arguments).to_string()))
    })
}

/// A tool that never answers.
fn silent(name: &str) -> ClientTool {
    tool(name, |_call: ToolInvocation| std::future::pending())
}

/// The sessions of a server with the rooms `r1` and `r2`.
fn runtime(runs: Arc<dyn RunStream>, tools: Arc<dyn ToolResolver>, limits: Limits) -> AgentRuntime {
    AgentRuntime::from_connection(connection("prod", runs), tools, limits)
}

/// The sessions of a server that knows what `api` does.
fn runtime_with(api: Arc<FakeApi>, runs: Arc<dyn RunStream>, tools: Arc<dyn ToolResolver>) -> AgentRuntime {
    let connection = ServerConnection::new("prod", api, runs).expect("it is an id");
    AgentRuntime::from_connection(connection, tools, Limits::default())
}

/// The sessions of many servers, without tools.
fn servers<const N: usize>(servers: [ServerConnection; N]) -> MultiServerRuntime {
    let registry = ServerRegistry::new();
    for server in servers {
        registry.add(server).expect("the ids differ");
    }
    MultiServerRuntime::new(registry, having([]), Limits::default())
}

/// Runs one session to its end.
async fn run(runtime: &AgentRuntime) -> AgentResult {
    runtime.spawn("r1", "hi").await.expect("there is room").result().await
}

/// Who said what.
fn said(messages: &[Message]) -> Vec<(Role, String)> {
    messages.iter().map(|message| (message.role, message.content.text().into_owned())).collect()
}

/// What a turn was told of the calls before it, in their order.
fn results(request: &Resolved) -> Vec<String> {
    let results = request.messages.iter().filter(|message| message.role == Role::Tool);
    results.map(|message| message.content.text().into_owned()).collect()
}

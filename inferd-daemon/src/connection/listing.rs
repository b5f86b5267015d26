//! What is known of upstream servers as frames: the catalogue enters, lists leave. Nothing is asked of a server for it.

use inferd_proto::{ProtoError, ServerInfo, ServerState, ServerTool, Servers, Tools, ToolsRequest, Warning};
use serde_json::{Value, json};

use super::dispatch::Desk;
use super::wire::{millis, put_whole};
use crate::upstream::{Catalogue, Server, State};

/// Answers `id` with the servers there are, and the rooms.
pub(super) fn put_servers(desk: &Desk, id: String) {
    let agents = &desk.service.agents;
    let servers = agents.upstreams().catalogue().servers.iter().map(info).collect();
    let frame = Servers { id, servers, rooms: agents.rooms() };
    put_whole(desk, &frame.id, &frame, |max| format!("the list exceeds a frame of {max} bytes"));
}

/// Answers `id` with the tools of one server, or of all.
pub(super) fn put_tools(desk: &Desk, id: String, server: Option<String>) -> Result<(), ProtoError> {
    ToolsRequest { id: String::new(), server: server.clone() }.check()?;
    let catalogue = desk.service.agents.upstreams().catalogue();
    let Some(frame) = tools(id, &catalogue, server.as_deref()) else {
        let server = server.unwrap_or_default();
        return Err(ProtoError::InvalidRequest(format!("server: there is no server {server:?}")));
    };
    put_whole(desk, &frame.id, &frame, |max| {
        format!("server: the list exceeds a frame of {max} bytes, ask for that of one server")
    });
    Ok(())
}

/// The tools of one server, or of all. `None`: there is no such server.
fn tools(id: String, catalogue: &Catalogue, server: Option<&str>) -> Option<Tools> {
    if server.is_some_and(|id| catalogue.server(id).is_none()) {
        return None;
    }
    let wanted = |id: &str| server.is_none_or(|server| server == id);
    let tools = catalogue.tools.iter().filter(|tool| wanted(&tool.server));
    let tools = tools.map(|tool| ServerTool {
        name: tool.name.clone(),
        server: tool.server.clone(),
        description: tool.description().map(str::to_owned),
        input_schema: tool
            .input_schema()
            .map_or_else(|| json!({ "type": "object" }), |schema| Value::Object(schema.clone())),
        stale: tool.stale,
    });
    let warnings = catalogue.servers.iter().filter(|server| wanted(&server.id)).flat_map(warnings);
    Some(Tools { id, tools: tools.collect(), warnings: warnings.collect() })
}

fn info(server: &Server) -> ServerInfo {
    ServerInfo {
        server: server.id.clone(),
        kind: server.kind.to_owned(),
        state: state(server),
        tools: server.condition.tools,
        latency_ms: server.latency.map(millis),
        error: server.condition.last_error.clone(),
    }
}

fn state(server: &Server) -> ServerState {
    match server.condition.state {
        State::Live => ServerState::Live,
        State::Connecting if server.condition.last_error.is_none() => ServerState::Connecting,
        State::Connecting | State::Down => ServerState::Down,
    }
}

/// What of a server is not in the list, or not as it is now.
fn warnings(server: &Server) -> Vec<Warning> {
    let condition = &server.condition;
    let reason = condition.last_error.as_deref().unwrap_or("it has not answered yet");
    let away = (condition.state != State::Live).then(|| match condition.tools {
        0 => format!("left out: {reason}"),
        _ => format!("stale: {reason}"),
    });
    let messages = away.into_iter().chain(condition.remarks.iter().cloned());
    messages.map(|message| Warning { server: server.id.clone(), message }).collect()
}

//! The tools `list_models` and `daemon_status`: where the daemon stands, with nothing asked of an engine.

use inferd_proto::Model;
use rmcp::model::{CallToolResult, Tool};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Call, Failure, Offered, answered, described, fields};
use crate::router::LaneState;
use crate::service::Service;
use crate::upstream::Server;

pub(super) fn list_models() -> Offered {
    let properties = json!({ "models": { "type": "array", "items": fields::object(
        &json!({
            "name": { "type": "string", "description": "As a request gives it; * where the lane takes any" },
            "backend": { "type": "string", "description": "The lane that serves it" },
            "ready": { "type": "boolean", "description": "Whether that lane can take a request now" },
            "kind": { "type": "string", "description": "What kind of engine that lane is" },
        }),
        &["name", "backend", "ready"],
    ) } });
    let tool = looking(
        "list_models",
        "List models",
        "Lists the models that can be named in generate and embed, with the lane that serves each.",
        fields::object(&properties, &["models"]),
    );
    Offered::own(tool, |call| async move { look(&call, |call| models(&call.caller.service)) })
}

pub(super) fn daemon_status() -> Offered {
    let count = || json!({ "type": "integer" });
    let properties = json!({
        "version": { "type": "string" },
        "status": { "enum": ["ready", "draining"] },
        "uptime_s": count(),
        "running": count(),
        "waiting": count(),
        "active": { "type": "integer", "description": "Requests that may run at a time" },
        "queue_depth": { "type": "integer", "description": "Requests that may wait" },
        "clients": { "type": "integer", "description": "Clients that are connected" },
        "lanes": { "type": "array", "items": { "type": "object" } },
        "servers": {
            "type": "array",
            "items": { "type": "object" },
            "description": "Upstream servers, and how each of them is",
        },
        "warnings": {
            "type": "array",
            "items": { "type": "string" },
            "description": "Upstream servers that are not connected, and why",
        },
    });
    let names =
        ["version", "status", "uptime_s", "running", "waiting", "active", "queue_depth", "clients", "lanes"];
    let tool = looking(
        "daemon_status",
        "Daemon status",
        "Says how busy the daemon is: what runs, what waits, and how each of its lanes and upstream servers is.",
        fields::object(&properties, &names),
    );
    Offered::own(tool, |call| async move {
        look(&call, |call| status(&call.caller.service, call.caller.uptime_s))
    })
}

/// A tool that takes no arguments and changes nothing.
fn looking(name: &'static str, title: &str, description: &'static str, output: Value) -> Tool {
    described(name, title, description, (fields::object(&json!({}), &[]), output), true)
}

fn look<T: Serialize>(call: &Call, see: impl FnOnce(&Call) -> T) -> Result<CallToolResult, Failure> {
    if let Some(name) = call.arguments.keys().next() {
        return Err(Failure::invalid(format!("{name}: unknown field, expected none")));
    }
    let seen = see(call);
    let text = serde_json::to_string_pretty(&seen).expect("plain data is JSON");
    Ok(answered(&seen, text))
}

/// Models and their lanes.
#[derive(Debug, Serialize)]
pub(crate) struct Models {
    models: Vec<Model>,
}

pub(crate) fn models(service: &Service) -> Models {
    Models { models: service.router.models() }
}

/// How busy the daemon is.
#[derive(Debug, Serialize)]
pub(crate) struct Standing {
    version: &'static str,
    status: &'static str,
    uptime_s: u64,
    running: usize,
    waiting: usize,
    active: usize,
    queue_depth: usize,
    clients: usize,
    lanes: Vec<LaneState>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    servers: Vec<Server>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

pub(crate) fn status(service: &Service, uptime_s: u64) -> Standing {
    let queue = service.gate.state();
    let upstream = service.agents.upstreams().catalogue();
    Standing {
        version: env!("CARGO_PKG_VERSION"),
        status: if service.stop.is_said() { "draining" } else { "ready" },
        uptime_s,
        running: queue.running,
        waiting: queue.waiting,
        active: service.gate.limits().active,
        queue_depth: queue.capacity,
        clients: service.gate.clients(),
        lanes: service.router.state(),
        servers: upstream.servers.clone(),
        warnings: upstream.warnings(),
    }
}

//! `status`: what the daemon is doing, from its admin socket.

use serde::Deserialize;
use serde_json::Value;

use crate::args::{Reach, StatusArgs};
use crate::console::with_admin;
use crate::exit::Exit;
use crate::table;

/// What a snapshot says, as far as it is shown; what a daemon leaves out counts as nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Snapshot {
    version: String,
    uptime_s: u64,
    running: u64,
    active: u64,
    waiting: u64,
    queue_depth: u64,
    clients: Value,
    sockets: Value,
    lanes: Vec<Lane>,
    servers: Vec<Server>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Lane {
    name: String,
    kind: String,
    state: String,
    running: u64,
    ready: bool,
    models: Vec<String>,
}

/// An upstream server.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Server {
    id: String,
    kind: String,
    state: String,
    since_s: u64,
    latency_ms: Option<f64>,
    tools: u64,
    last_error: Option<String>,
    remarks: Vec<String>,
}

/// Prints the daemon's state.
pub(crate) async fn run(args: &StatusArgs, reach: &Reach) -> anyhow::Result<Exit> {
    let snapshot = match with_admin(reach, "status", async |admin| admin.snapshot().await).await {
        Ok(snapshot) => snapshot,
        Err(exit) => return Ok(exit),
    };
    if args.json {
        println!("{snapshot}");
    } else {
        print!("{}", page(&Snapshot::deserialize(snapshot)?));
    }
    Ok(Exit::Ok)
}

fn page(snapshot: &Snapshot) -> String {
    let Snapshot {
        version,
        uptime_s,
        running,
        active,
        waiting,
        queue_depth,
        clients,
        sockets,
        lanes,
        servers,
    } = snapshot;
    let mut out = format!("inferd {version}, up {}\n", duration(*uptime_s));
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    let sockets = texts(sockets);
    if !sockets.is_empty() {
        line(format!("listening on {}", sockets.join(", ")));
    }
    line(format!(
        "running {running} of {active}, waiting {waiting} of {queue_depth}, clients {}",
        count(clients)
    ));
    line(String::new());
    out += &table::of(["LANE", "KIND", "STATE", "RUNNING", "MODELS"], lanes.iter().map(Lane::row));
    if !servers.is_empty() {
        out.push('\n');
        let heads = ["SERVER", "KIND", "STATE", "FOR", "LATENCY", "TOOLS", "LAST ERROR"];
        out += &table::of(heads, servers.iter().map(Server::row));
        for Server { id, remarks, .. } in servers {
            for remark in remarks {
                out.extend([id, ": left out: ", remark, "\n"]);
            }
        }
    }
    out
}

impl Server {
    fn row(&self) -> [String; 7] {
        let Self { id, kind, state, since_s, latency_ms, tools, last_error, .. } = self;
        let latency = latency_ms.map(|ms| format!("{ms} ms")).unwrap_or_default();
        let (id, kind, state) = (id.clone(), kind.clone(), state.clone());
        let error = last_error.clone().unwrap_or_default();
        [id, kind, state, duration(*since_s), latency, tools.to_string(), error]
    }
}

impl Lane {
    fn row(&self) -> [String; 5] {
        let Self { name, kind, state, running, ready, models } = self;
        let state = if *ready { state.clone() } else { format!("{state}, not ready") };
        [name.clone(), kind.clone(), state, running.to_string(), models.join(", ")]
    }
}

/// A number, or how many there are.
fn count(value: &Value) -> u64 {
    match value {
        Value::Array(all) => all.len() as u64,
        Value::Object(all) => all.len() as u64,
        other => other.as_u64().unwrap_or_default(),
    }
}

/// The texts in a value, in order.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(all) => all.iter().flat_map(texts).collect(),
        Value::Object(all) => all.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

fn duration(s: u64) -> String {
    match (s / 86400, s / 3600 % 24, s / 60 % 60) {
        (0, 0, 0) => format!("{s} s"),
        (0, 0, min) => format!("{min} min"),
        (0, h, min) => format!("{h} h {min} min"),
        (d, h, _) => format!("{d} d {h} h"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_snapshot_is_a_page_for_people() {
        let snapshot = json!({
            "id": "admin", "type": "snapshot", "version": "0.3.0", "uptime_s": 8000, "running": 1, "active": 4,
            "waiting": 2, "queue_depth": 64, "clients": 3,
            "sockets": {"local": "/run/user/1000/inferd/infer.sock", "tcp": "127.0.0.1:47321"},
            "lanes": [
                {"name": "ollama-11434", "kind": "openai", "state": "passing", "running": 1, "ready": true,
                 "models": ["llama3.1:8b", "qwen2:7b"]},
                {"name": "cloud", "kind": "openai", "state": "shut", "running": 0, "ready": false, "models": []},
            ],
            "servers": [
                {"id": "files", "kind": "stdio", "state": "live", "since_s": 700, "latency_ms": 1.3, "tools": 12,
                 "remarks": ["tools: \"x\": it has no input schema"]},
                {"id": "prod", "kind": "http", "state": "down", "since_s": 3, "tools": 0,
                 "last_error": "connect to prod:443: connection refused"},
            ],
        });
        insta::assert_snapshot!(page(&Snapshot::deserialize(snapshot).unwrap()));
    }

    #[test]
    fn what_a_daemon_leaves_out_is_no_error() {
        page(&Snapshot::deserialize(json!({"id": "admin", "type": "snapshot"})).unwrap());
    }

    #[test]
    fn time_is_told_in_its_two_largest_units() {
        assert_eq!([59, 60, 3660, 90000].map(duration), ["59 s", "1 min", "1 h 1 min", "1 d 1 h"]);
    }
}

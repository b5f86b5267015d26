//! What upstream servers and rooms offer, as a client finds it.

use super::*;
use crate::config::Config;
use crate::mcp::Federation;
use crate::upstream::scripted::{Actor, Stage, tools, wanted};

mod calling;
mod losing;
mod others;

impl Rig {
    /// Has what is on `stage` offered.
    pub(super) fn federate(&self, stage: &Stage) {
        self.terms.send_modify(|terms| {
            let agents = Agents::new(stage.upstreams.clone());
            let servers = stage.upstreams.catalogue().servers.clone();
            agents.reconfigure(servers.iter().map(|server| wanted(&server.id, "x")), &self.rooms.borrow());
            terms.service = Arc::new(Service { agents, ..(*terms.service).clone() });
        });
        let (upstreams, menu) = (stage.upstreams.clone(), self.menu.clone());
        let federation = Federation { upstreams, rooms: self.rooms.subscribe(), menu };
        TaskTracker::new().spawn(federation.run(self.service().stop.clone()));
    }

    /// Waits until something is offered under this name.
    async fn offers(&self, name: &str) {
        let mut changes = self.menu.changes();
        let is_there = |offers: &Offers| {
            offers.tools.find(name).is_some()
                || offers.prompts.find(name).is_some()
                || offers.resources.find(name).is_some()
        };
        timeout(Duration::from_secs(60), changes.wait_for(is_there)).await.expect("it is offered").unwrap();
    }
}

impl Session {
    /// The names of all tools.
    async fn tools(&mut self) -> Vec<String> {
        let listed = self.request("tools/list", json!({})).await;
        let tools = listed["result"]["tools"].as_array().unwrap().iter();
        tools.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// The daemon, and a server `files` with the tool `read`.
async fn with_files() -> (Rig, Stage, Actor) {
    let stage = Stage::of(&["files"]);
    let files = stage.play("files", tools(&["read"])).await;
    let rig = Rig::of(Scripted::saying("lane", &["a"]));
    rig.federate(&stage);
    rig.offers("files__read").await;
    (rig, stage, files)
}

const OWN: [&str; 6] = ["generate", "embed", "list_models", "daemon_status", "run_agent", "lend_model"];

#[tokio::test(start_paused = true)]
async fn tools_of_all_servers_stand_sorted_behind_the_daemons_own_under_names_every_client_takes() {
    let stage = Stage::of(&["prod", "files"]);
    let rig = Rig::of(Scripted::saying("lane", &["a"]));
    rig.federate(&stage);
    let long = "x".repeat(200);
    let _prod = stage.play("prod", tools(&["zip", "grüße an alle", &long])).await;
    let _files = stage.play("files", tools(&["write", "read"])).await;
    rig.offers("files__read").await;
    let mut session = rig.session().await;
    let listed = session.tools().await;
    assert_eq!(listed[..6], OWN);
    assert_eq!(listed[6..8], ["files__read", "files__write"]);
    assert_eq!(listed.len(), 11);
    for name in &listed {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        assert!((1..=64).contains(&name.len()) && name.bytes().all(is_plain), "{name}");
    }
    let mut names: Vec<_> = listed.iter().collect();
    names.dedup();
    assert_eq!(names.len(), 11, "{names:?}");
}

#[tokio::test(start_paused = true)]
async fn a_tool_keeps_what_its_server_says_of_it() {
    let tool = json!({
        "name": "read", "title": "Read a file", "description": "Reads",
        "inputSchema": { "type": "object", "properties": { "path": { "type": "string" } }, "required": ["path"] },
        "outputSchema": { "type": "object", "properties": { "text": { "type": "string" } } },
        "annotations": { "title": "Reads it", "readOnlyHint": true, "openWorldHint": false },
        "_meta": { "example.com/cost": 3 },
    });
    let odd = json!({ "name": "odd", "description": "Odd", "title": 7, "annotations": "none",
        "inputSchema": { "type": "object" } });
    let endless =
        json!({ "name": "endless", "description": "x".repeat(300_000), "inputSchema": { "type": "object" } });
    let stage = Stage::of(&["files"]);
    let _files = stage.play("files", json!([tool, odd, endless])).await;
    let rig = Rig::of(Scripted::saying("lane", &["a"]));
    rig.federate(&stage);
    rig.offers("files__read").await;
    let mut session = rig.session().await;
    let listed = session.request("tools/list", json!({})).await;
    let listed = &listed["result"]["tools"].as_array().unwrap()[6..];
    let mut expected = tool.clone();
    expected["name"] = json!("files__read");
    let plain = json!({ "name": "files__odd", "description": "Odd", "inputSchema": { "type": "object" } });
    assert_eq!(listed, [plain, expected], "what is too long is left out");
}

#[tokio::test(start_paused = true)]
async fn a_change_of_a_servers_list_is_told_once_and_how_it_is_never() {
    let (rig, stage, mut files) = with_files().await;
    rig.calls.spawn(Arc::clone(&rig.desk).announce());
    let mut session = rig.session().await;
    for _ in 0..100 {
        files.says(json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" })).await;
    }
    files.lists(tools(&["read", "write"])).await;
    rig.offers("files__write").await;
    assert_eq!(session.hear().await["method"], "notifications/tools/list_changed");
    drop(files);
    let mut changes = stage.upstreams.changes();
    changes.wait_for(|catalogue| catalogue.tools.iter().all(|tool| tool.stale)).await.unwrap();
    assert_eq!(session.tools().await[6..], ["files__read", "files__write"]);
    assert!(session.notes.is_empty(), "{:?}", session.notes);
}

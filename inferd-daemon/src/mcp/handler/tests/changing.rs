//! What is offered changes while clients are there.

use rmcp::model::{
    CallToolResult, ContentBlock, GetPromptResult, JsonObject, Prompt, PromptMessage, ReadResourceResult,
    Resource, ResourceContents, Role,
};

use super::*;
use crate::mcp::http::McpConfig;
use crate::mcp::menu::{Offered, Supplied};
use crate::mcp::scripted::{self, post};
use crate::mcp::session::SessionStore;
use crate::state::{Settings, State};

const CHANGED: &str = "notifications/tools/list_changed";

fn tool(says: &'static str) -> Offered<Tool> {
    let tool = Tool::new("up__say", "Says something", Arc::new(JsonObject::new()));
    let run = move |_| {
        let said = CallToolResult::success(vec![ContentBlock::text(says)]);
        std::future::ready(Ok(said.into()))
    };
    Offered::new(tool, run).also_called("up::say")
}

fn one_tool(says: &'static str) -> Supplied {
    Supplied { tools: vec![tool(says)], ..Supplied::default() }
}

/// One of each kind.
fn one_of_each() -> Supplied {
    let resource = Offered::new(Resource::new("inferd+up://notes", "notes"), |_| {
        let contents = ResourceContents::text("of the notes", "inferd+up://notes");
        std::future::ready(Ok(ReadResourceResult::new(vec![contents]).into()))
    });
    let prompt = Offered::new(Prompt::new("greet", Some("Greets"), None), |call| {
        let name = call.arguments["name"].as_str().unwrap_or_default().to_owned();
        let said = PromptMessage::new_text(Role::User, format!("Greet {name}"));
        std::future::ready(Ok(GetPromptResult::new(vec![said]).into()))
    });
    Supplied {
        tools: vec![tool("hi")],
        resources: vec![resource],
        prompts: vec![prompt],
        ..Supplied::default()
    }
}

impl Rig {
    /// Has changes announced, as the daemon does.
    fn announce(&self) {
        self.calls.spawn(Arc::clone(&self.desk).announce());
    }

    /// The same behind HTTP.
    fn over_http(&self, sessions: SessionStore) -> scripted::Rig<Handler> {
        let desk = Arc::clone(&self.desk);
        scripted::Rig::serving(&McpConfig::default(), sessions, move || Handler::new(Arc::clone(&desk)))
    }
}

impl Session {
    /// What has come of changes, once the daemon has had its say.
    async fn told(&mut self) -> Vec<String> {
        for _ in 0..20 {
            self.request("ping", json!({})).await;
        }
        let notes = std::mem::take(&mut self.notes);
        notes.into_iter().map(|note| note["method"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn every_open_session_is_told_of_a_change_once_and_finds_it_there() {
    let rig = Rig::of(Scripted::saying("lane", &["a"]));
    rig.announce();
    let mut sessions = [rig.session().await, rig.session_of("2024-11-05").await];
    for session in &mut sessions {
        assert_eq!(session.told().await, [""; 0], "nothing has changed since it began");
    }
    rig.menu.supply(one_tool("hi"));
    for session in &mut sessions {
        assert_eq!(session.told().await, [CHANGED]);
        let listed = session.request("tools/list", json!({})).await;
        let tools = listed["result"]["tools"].as_array().unwrap();
        assert_eq!(tools.last().unwrap()["name"], "up__say", "after the daemon's own");
        for name in ["up__say", "up::say"] {
            assert_eq!(text(&session.call(name, json!({})).await), "hi");
        }
        let unknown = session.begin("say", json!({})).await;
        assert_eq!(session.answer(unknown).await["error"]["code"], -32602);
    }
    rig.menu.supply(one_tool("the same by another"));
    for session in &mut sessions {
        assert_eq!(session.told().await, [""; 0], "the list reads as before");
        assert_eq!(text(&session.call("up__say", json!({})).await), "the same by another");
    }
    rig.menu.supply(Supplied::default());
    for session in &mut sessions {
        assert_eq!(session.told().await, [CHANGED]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_supplied_is_listed_read_and_got_like_the_daemons_own() {
    let rig = Rig::of(Scripted::saying("lane", &["a"]));
    rig.announce();
    let mut session = rig.session().await;
    rig.menu.supply(one_of_each());
    let mut told = session.told().await;
    told.sort();
    let lists = ["notifications/prompts/list_changed", "notifications/resources/list_changed", CHANGED];
    assert_eq!(told, lists);
    let listed = session.request("resources/list", json!({})).await;
    assert_eq!(listed["result"]["resources"][2]["uri"], "inferd+up://notes");
    let read = session.request("resources/read", json!({ "uri": "inferd+up://notes" })).await;
    assert_eq!(read["result"]["contents"][0]["text"], "of the notes");
    let listed = session.request("prompts/list", json!({})).await;
    assert_eq!(listed["result"]["prompts"][0]["name"], "greet");
    let asked = json!({ "name": "greet", "arguments": { "name": "Ada" } });
    let got = session.request("prompts/get", asked).await;
    assert_eq!(got["result"]["messages"][0]["content"]["text"], "Greet Ada");
    for (method, params) in
        [("resources/read", json!({ "uri": "inferd+up://" })), ("prompts/get", json!({ "name": "up" }))]
    {
        let refused = session.request(method, params).await;
        assert!(refused["error"]["message"].as_str().unwrap().starts_with("there is no"), "{refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_ended_leaves_no_place_in_the_audience() {
    let rig = Rig::of(Scripted::saying("lane", &["a"]));
    let http = rig.over_http(SessionStore::new());
    let (first, _second) = (http.session("").await, http.session("").await);
    until(|| rig.desk.audience.len() == 2).await;
    let gone = format!("DELETE /mcp HTTP/1.1\r\nhost: localhost\r\n{first}\r\n");
    assert_eq!(http.connect().ask(&gone).await.status, 204);
    until(|| rig.desk.audience.len() == 1).await;
}

/// Gives tasks their turn until it is so.
async fn until(so: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if so() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never comes to that");
}

#[tokio::test(start_paused = true)]
async fn a_change_stands_on_the_sessions_standalone_stream_also_for_who_reads_it_later() {
    let rig = Rig::of(Scripted::saying("lane", &["a"]));
    rig.announce();
    let http = rig.over_http(SessionStore::new());
    let head = http.session("").await;
    until(|| rig.desk.audience.len() == 1).await;
    rig.menu.supply(one_tool("hi"));
    let mut standing = http.connect();
    standing
        .send(&format!("GET /mcp HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n{head}\r\n"))
        .await;
    assert_eq!(standing.head().await.status, 200);
    assert_eq!(standing.event().await.unwrap().name(), "init");
    let told = standing.event().await.unwrap();
    assert_eq!((told.id.as_deref(), told.json()["method"].as_str()), (Some("0-1"), Some(CHANGED)));
}

#[tokio::test]
async fn a_session_that_a_restart_brings_back_is_told_that_lists_may_have_changed_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let mut head = String::new();
    for restarted in [false, true] {
        let state = State::open(Settings::new(dir.path().join("state.db"), 30)).unwrap();
        let rig = Rig::of(Scripted::saying("lane", &["a"]));
        let http = rig.over_http(SessionStore::on_shelf(state.clone()).await);
        if restarted {
            let mut standing = http.connect();
            let get =
                format!("GET /mcp HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n{head}\r\n");
            standing.send(&get).await;
            assert_eq!(standing.head().await.status, 200);
            assert_eq!(standing.event().await.unwrap().name(), "init");
            assert_eq!(standing.event().await.unwrap().json()["method"], CHANGED);
        } else {
            head = http.session("").await;
            http.sessions.save_now().await.unwrap();
        }
        state.close().await;
    }
}

/// A request of 2026-07-28, its head and its body.
fn listen(wanted: &Value) -> String {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "0" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "subscriptions/listen",
        "params": { "_meta": meta, "notifications": wanted } });
    post("mcp-protocol-version: 2026-07-28\r\nmcp-method: subscriptions/listen\r\n", &body)
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_hears_of_what_it_asked_for_until_the_daemon_drains() {
    let rig = Rig::of(Scripted::saying("lane", &["a"]));
    let http = rig.over_http(SessionStore::new());
    let mut subscriber = http.connect();
    subscriber.send(&listen(&json!({ "toolsListChanged": true, "promptsListChanged": true }))).await;
    assert_eq!(subscriber.head().await.status, 200);
    let acknowledged = subscriber.event().await.unwrap().json();
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    rig.menu.supply(one_of_each());
    let mut told = Vec::new();
    for _ in 0..2 {
        let note = subscriber.event().await.unwrap().json();
        assert_eq!(note["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 7, "{note}");
        told.push(note["method"].clone());
    }
    assert_eq!(told, [CHANGED, "notifications/prompts/list_changed"]);
    rig.service().stop.drain();
    let last = subscriber.event().await.unwrap().json();
    assert_eq!((&last["id"], last["error"].is_null()), (&json!(7), true), "{last}");
    assert_eq!(subscriber.event().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_leaves_leaves_nothing_behind() {
    let rig = Rig::of(Scripted::saying("lane", &["a"]));
    let http = rig.over_http(SessionStore::new());
    let mut subscriber = http.connect();
    subscriber.send(&listen(&json!({ "toolsListChanged": true }))).await;
    subscriber.head().await;
    until(|| rig.menu.listeners() == 1).await;
    drop(subscriber);
    until(|| rig.menu.listeners() == 0).await;
}

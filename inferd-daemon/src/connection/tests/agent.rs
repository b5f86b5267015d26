//! Agent turns: what a client sees of them, what the model reads, what is left behind.

use serde_json::{Value, json};

use super::*;
use crate::scripted::calling;
use crate::upstream::scripted::{Actor, tools};

mod ending;
mod refusing;
mod threads;

/// An agent request with these fields of `agent`.
fn agent(id: &str, fields: &Value) -> String {
    ask_with(id, &format!(r#","progress":true,"agent":{fields}"#))
}

/// Two servers with a tool each.
async fn two_servers() -> (Stage, Actor, Actor) {
    let stage = Stage::of(&["a", "b"]);
    let a = stage.play("a", tools(&["x"])).await;
    let b = stage.play("b", tools(&["y"])).await;
    (stage, a, b)
}

/// A model that says these turns, one a request.
fn model(turns: Vec<Vec<TokenEvent>>) -> Arc<Scripted> {
    Scripted::new("lane", move |n, _| Turn::Say(turns[n].clone()))
}

/// A model that calls both tools, and answers when it has read what they say.
fn two_calls() -> Arc<Scripted> {
    let calls = calling(&[("a__x", r#"{"q":1}"#), ("b__y", "{}")]);
    model(vec![vec![token("let me look"), calls], vec![token("fo"), token("ur"), done(2)]])
}

fn says(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}

/// What the model read in its request number `n`, a line a message.
fn read(backend: &Scripted, n: usize) -> Vec<String> {
    let request = &backend.seen()[n];
    request.messages.iter().map(|message| format!("{:?}: {}", message.role, message.content.text())).collect()
}

/// The tools on offer in request number `n`.
fn offered(backend: &Scripted, n: usize) -> Vec<String> {
    let request = &backend.seen()[n];
    let name = |tool: &inferd_proto::Tool| match tool {
        inferd_proto::Tool::Function { function } => function.name.clone(),
    };
    request.tools.iter().map(name).collect()
}

#[tokio::test(start_paused = true)]
async fn tools_of_two_servers_run_at_once_and_the_model_answers_with_their_results() {
    let (backend, (stage, mut a, mut b)) = (two_calls(), two_servers().await);
    let rig = Rig::of(&backend).with_servers(&stage, "");
    let mut talk = rig.local();
    talk.send(&agent("r", &json!({}))).await;
    let asked_a = a.is_asked("tools/call").await;
    let asked_b = b.is_asked("tools/call").await;
    assert_eq!(
        (&asked_a["params"]["name"], &asked_a["params"]["arguments"]),
        (&json!("x"), &json!({ "q": 1 }))
    );
    assert_eq!(rig.counts(), (0, 0), "no permit is held while tools run");
    b.answers(&asked_b, says("two")).await;
    settled().await;
    a.answers(&asked_a, says("two more")).await;
    let lines = talk.lines().await;
    let thread = lines.split(r#""thread":""#).nth(1).unwrap().split('"').next().unwrap();
    insta::assert_snapshot!(lines.replace(thread, "THREAD"));
    assert_eq!(offered(&backend, 0), ["a__x", "b__y"]);
    assert_eq!(
        read(&backend, 1),
        ["User: hi", "Assistant: let me look", "Tool: two more", "Tool: two"],
        "results stand in the order of the calls"
    );
    assert_eq!(backend.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_named_brings_its_own_tools_and_a_room_leaves_out_what_it_does_not_allow() {
    let rooms = "[[rooms]]\nid = \"r\"\nsystem = \"be terse\"\nmodel = \"m\"\ntools = [\"a::*\"]";
    for (fields, tools) in [
        (json!({}), &["a__x", "b__y"][..]),
        (json!({ "server": "inferd" }), &["a__x", "b__y"]),
        (json!({ "server": "b" }), &["b__y"]),
        (json!({ "room": "r" }), &["a__x"]),
        (json!({ "room": "r", "server": "b" }), &[]),
    ] {
        let (backend, (stage, _a, _b)) = (model(vec![answer(&["4"])]), two_servers().await);
        let rig = Rig::of(&backend).with_servers(&stage, rooms);
        let lines = rig.local().ask(&agent("r", &fields)).await;
        assert!(lines.contains(r#""content":"4","usage""#), "{lines}");
        assert_eq!(offered(&backend, 0), tools, "{fields}");
        if fields["room"] == "r" {
            assert_eq!(read(&backend, 0), ["System: be terse", "User: hi"]);
            assert_eq!(backend.seen()[0].model.as_deref(), Some("m"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_costs_its_own_tools_and_no_others() {
    let stage = Stage::of(&["a", "b"]);
    let _a = stage.play("a", tools(&["x"])).await;
    let _b = stage.enter("b").await;
    let backend = model(vec![answer(&["4"]), answer(&["4"])]);
    let rig = Rig::of(&backend).with_servers(&stage, "");
    let mut talk = rig.local();
    talk.ask(&agent("r", &json!({}))).await;
    assert_eq!(offered(&backend, 0), ["a__x"]);
    let refused = talk.ask(&agent("r", &json!({ "server": "b" }))).await;
    insta::assert_snapshot!(refused, @r#"{"type":"error","id":"r","code":"backend_unavailable","message":"server `b` is not connected: it has not answered yet"}"#);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_calls_what_there_is_not_or_in_a_way_that_is_wrong_reads_so_and_goes_on() {
    let (stage, mut a, _b) = two_servers().await;
    let calls = calling(&[("nothing", "{}"), ("a__x", "{broken"), ("a__x", "[1]"), ("a::x", "")]);
    let backend = model(vec![vec![calls], answer(&["4"])]);
    let rig = Rig::of(&backend).with_servers(&stage, "");
    let mut talk = rig.local();
    talk.send(&agent("r", &json!({}))).await;
    let asked = a.is_asked("tools/call").await;
    a.answers(&asked, json!({ "content": [{ "type": "text", "text": "no such file" }], "isError": true }))
        .await;
    let lines = talk.lines().await;
    assert!(lines.contains(r#""status":"failed","step":1,"tool":"nothing""#), "{lines}");
    insta::assert_snapshot!(read(&backend, 1).join("\n"), @r#"
    User: hi
    Assistant: 
    Tool: error: there is no tool named "nothing"
    Tool: error: the arguments are not as expected: they are no JSON: key must be a string at line 1 column 2
    Tool: error: the arguments are not as expected: they are no JSON object
    Tool: error: no such file
    "#);
}

#[tokio::test(start_paused = true)]
async fn two_tools_that_a_model_could_not_tell_apart_cost_one_of_them_and_nothing_else() {
    let stage = Stage::of(&["p"]);
    let same = inferd_engine::tools::portable_name("p::a.b");
    let _p = stage.play("p", tools(&["a.b", same.strip_prefix("p__").unwrap(), "c"])).await;
    for fields in [json!({}), json!({ "server": "p" })] {
        let backend = model(vec![answer(&["4"])]);
        let rig = Rig::of(&backend).with_servers(&stage, "");
        rig.local().ask(&agent("r", &fields)).await;
        assert_eq!(offered(&backend, 0), [same.as_str(), "p__c"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_tool_says_of_its_progress_is_shown() {
    let (stage, mut a, _b) = two_servers().await;
    let backend = model(vec![vec![calling(&[("a__x", "{}")])], answer(&["4"])]);
    let rig = Rig::of(&backend).with_servers(&stage, "");
    let mut talk = rig.local();
    talk.send(&agent("r", &json!({}))).await;
    let asked = a.is_asked("tools/call").await;
    let token = &asked["params"]["_meta"]["progressToken"];
    let progress = json!({ "progressToken": token, "progress": 1, "total": 3, "message": "reading" });
    a.says(json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": progress })).await;
    settled().await;
    a.answers(&asked, says("4")).await;
    let lines = talk.lines().await;
    assert!(
        lines.contains(r#"{"type":"status","id":"r","status":"calling","step":1,"tool":"a::x","progress":{"done":1.0,"total":3.0,"message":"reading"}}"#),
        "{lines}"
    );
}

#[tokio::test(start_paused = true)]
async fn each_step_waits_its_turn_under_its_clients_account() {
    let (stage, mut a, _b) = two_servers().await;
    let (backend, mut called) = dictated();
    let rig = Rig::with(&backend, Admission::new(1, 4), ConnectionLimits::default()).with_servers(&stage, "");
    let (mut agents, mut other) = (rig.local(), rig.local());
    agents.send(&agent("r", &json!({}))).await;
    let first = called.next().await;
    first.send(calling(&[("a__x", "{}")])).await.unwrap();
    let asked = a.is_asked("tools/call").await;
    other.send(&ask("o")).await;
    let between = called.next().await;
    a.answers(&asked, says("2")).await;
    while !matches!(agents.frame().await, Response::Status { status, position: Some(1), step: Some(2), .. } if status == "queued")
    {
    }
    between.send(done(1)).await.unwrap();
    let last = called.next().await;
    for event in answer(&["4"]) {
        last.send(event).await.unwrap();
    }
    assert!(agents.lines().await.contains(r#""steps":2"#));
    rig.is_empty().await;
}

#[tokio::test(start_paused = true)]
async fn one_row_is_left_of_all_steps_and_no_word_of_them() {
    let (book, (stage, mut a, mut b)) = (auditing::Book::new(), two_servers().await);
    let backend = two_calls();
    let rig = Rig::of(&backend).audited(book.audit()).with_servers(&stage, "");
    let mut talk = rig.local();
    talk.send(&agent("r", &json!({}))).await;
    let asked = a.is_asked("tools/call").await;
    a.answers(&asked, says("2")).await;
    let asked = b.is_asked("tools/call").await;
    b.answers(&asked, says("2")).await;
    talk.lines().await;
    talk.ask(&agent("r", &json!({ "room": "none" }))).await;
    let rows = book.rows().await;
    assert_eq!(rows.len(), 2);
    let outcomes: Vec<_> =
        rows.iter().map(|row| (&*row.kind, &*row.outcome, row.reason.as_deref())).collect();
    assert_eq!(outcomes, [("agent", "served", None), ("agent", "refused", Some("unknown_room"))]);
    assert_eq!(
        (rows[0].lane.as_deref(), rows[0].prompt_tokens, rows[0].completion_tokens),
        (Some("lane"), 2, 3)
    );
}

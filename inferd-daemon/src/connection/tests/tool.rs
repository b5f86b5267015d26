//! Calls of one tool.

use serde_json::json;

use super::*;
use crate::upstream::scripted::tools;

/// Every line up to the result or the error.
async fn called(talk: &mut Talk) -> String {
    let mut lines = Vec::new();
    loop {
        lines.push(talk.line().await.expect("the connection is open"));
        if !lines.last().unwrap().starts_with(r#"{"type":"status""#) {
            return lines.join("\n");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_reaches_its_tool_once_in_either_spelling_and_its_result_is_whole() {
    let stage = Stage::of(&["a"]);
    let mut a = stage.play("a", tools(&["x"])).await;
    let rig = Rig::of(&Scripted::hanging("lane")).with_servers(&stage, "");
    let mut talk = rig.local();
    let mut answers = Vec::new();
    for tool in ["a::x", "a__x"] {
        let line =
            json!({ "type": "call", "id": "c", "tool": tool, "arguments": { "q": 1 }, "progress": true });
        talk.send(&line.to_string()).await;
        let asked = a.is_asked("tools/call").await;
        assert_eq!(asked["params"]["arguments"], json!({ "q": 1 }));
        let token = &asked["params"]["_meta"]["progressToken"];
        let params = json!({ "progressToken": token, "progress": 1 });
        a.says(json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params })).await;
        let content = json!([{ "type": "text", "text": "4" }, { "type": "audio", "mimeType": "audio/wav", "data": "AA==" }]);
        a.answers(&asked, json!({ "content": content, "structuredContent": { "sum": 4 } })).await;
        answers.push(called(&mut talk).await);
    }
    assert_eq!(answers[0], answers[1]);
    insta::assert_snapshot!(answers[0], @r#"
    {"type":"status","id":"c","status":"calling","tool":"a::x"}
    {"type":"status","id":"c","status":"calling","tool":"a::x","progress":{"done":1.0}}
    {"type":"status","id":"c","status":"called","tool":"a::x"}
    {"type":"called","id":"c","tool":"a::x","content":[{"text":"4","type":"text"},{"data":"AA==","mimeType":"audio/wav","type":"audio"}],"structured":{"sum":4},"is_error":false}
    "#);
    assert_eq!(rig.counts(), (0, 0), "a call takes no place");
}

#[tokio::test(start_paused = true)]
async fn what_becomes_of_a_call_otherwise_is_said_in_its_code() {
    let stage = Stage::of(&["a", "away"]);
    let mut a = stage.play("a", tools(&["x"])).await;
    let _away = stage.enter("away").await;
    let rig = Rig::of(&Scripted::hanging("lane")).with_servers(&stage, "");
    let mut talk = rig.local();
    let mut answers = Vec::new();
    talk.send(r#"{"type":"call","id":"unknown","tool":"a::none"}"#).await;
    answers.push(called(&mut talk).await);
    talk.send(r#"{"type":"call","id":"nameless","tool":""}"#).await;
    answers.push(called(&mut talk).await);
    for (id, error) in [("wrong", -32602), ("refused", -32603)] {
        talk.send(&json!({ "type": "call", "id": id, "tool": "a::x" }).to_string()).await;
        let asked = a.is_asked("tools/call").await;
        let error = json!({ "code": error, "message": "q: expected a number" });
        a.says(json!({ "jsonrpc": "2.0", "id": asked["id"], "error": error })).await;
        answers.push(called(&mut talk).await);
    }
    talk.send(r#"{"type":"call","id":"failed","tool":"a::x"}"#).await;
    let asked = a.is_asked("tools/call").await;
    a.answers(&asked, json!({ "content": [], "isError": true })).await;
    answers.push(called(&mut talk).await);
    talk.send(r#"{"type":"call","id":"late","tool":"a::x","deadline_ms":20}"#).await;
    a.is_asked("tools/call").await;
    answers.push(called(&mut talk).await);
    a.is_asked("notifications/cancelled").await;
    talk.send(r#"{"type":"call","id":"cancelled","tool":"a::x"}"#).await;
    a.is_asked("tools/call").await;
    talk.send(&cancel("cancelled")).await;
    answers.push(called(&mut talk).await);
    a.is_asked("notifications/cancelled").await;
    talk.send(r#"{"type":"call","id":"lost","tool":"a::x"}"#).await;
    a.is_asked("tools/call").await;
    drop(a);
    answers.push(called(&mut talk).await);
    talk.send(r#"{"type":"call","id":"stale","tool":"a::x"}"#).await;
    answers.push(called(&mut talk).await);
    insta::assert_snapshot!(answers.join("\n"), @r#"
    {"type":"error","id":"unknown","code":"invalid_request","message":"tool: there is no tool \"a::none\""}
    {"type":"error","id":"nameless","code":"invalid_request","message":"tool: expected a name of 1 to 512 bytes, got 0"}
    {"type":"error","id":"wrong","code":"invalid_request","message":"server `a` refused: q: expected a number"}
    {"type":"error","id":"refused","code":"backend_unavailable","message":"server `a` refused: q: expected a number"}
    {"type":"called","id":"failed","tool":"a::x","content":[],"is_error":true}
    {"type":"error","id":"late","code":"deadline_exceeded","message":"deadline_ms of 20 ms passed"}
    {"type":"done","id":"cancelled","content":"","usage":{"prompt_tokens":0,"completion_tokens":0},"stop_reason":"cancelled","backend":""}
    {"type":"error","id":"lost","code":"backend_unavailable","message":"server `a` was lost during the call: it closed its output"}
    {"type":"error","id":"stale","code":"backend_unavailable","message":"server `a` is not connected: it closed its output"}
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_vanishes_cancels_its_calls() {
    let stage = Stage::of(&["a"]);
    let mut a = stage.play("a", tools(&["x"])).await;
    let rig = Rig::of(&Scripted::hanging("lane")).with_servers(&stage, "");
    let mut talk = rig.tcp();
    talk.send(r#"{"type":"call","id":"c","tool":"a::x"}"#).await;
    a.is_asked("tools/call").await;
    drop(talk);
    a.is_asked("notifications/cancelled").await;
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_floods_its_progress_costs_a_client_that_does_not_read_nothing() {
    let stage = Stage::of(&["a"]);
    let mut a = stage.play("a", tools(&["x"])).await;
    let rig = Rig::of(&Scripted::hanging("lane")).with_servers(&stage, "");
    let mut talk = rig.connect::<true>(1024, "");
    talk.send(r#"{"type":"call","id":"c","tool":"a::x","progress":true}"#).await;
    let asked = a.is_asked("tools/call").await;
    let token = &asked["params"]["_meta"]["progressToken"];
    for n in 1..=1000 {
        let params = json!({ "progressToken": token, "progress": n, "message": "x".repeat(500) });
        a.says(json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params })).await;
    }
    a.answers(&asked, json!({ "content": [] })).await;
    settled().await;
    let lines = called(&mut talk).await;
    assert!(lines.len() < 200_000, "{} bytes were kept for it", lines.len());
    assert!(lines.ends_with(r#"{"type":"called","id":"c","tool":"a::x","content":[],"is_error":false}"#));
}

#[tokio::test(start_paused = true)]
async fn a_call_leaves_a_row_with_the_tool_and_its_server() {
    let book = auditing::Book::new();
    let stage = Stage::of(&["a"]);
    let mut a = stage.play("a", tools(&["x"])).await;
    let rig = Rig::of(&Scripted::hanging("lane")).audited(book.audit()).with_servers(&stage, "");
    let mut talk = rig.local();
    talk.send(r#"{"type":"call","id":"c","tool":"a__x","arguments":{"q":"plugh"}}"#).await;
    let asked = a.is_asked("tools/call").await;
    a.answers(&asked, json!({ "content": [{ "type": "text", "text": "four" }] })).await;
    called(&mut talk).await;
    talk.send(r#"{"type":"call","id":"c","tool":"xyzzy"}"#).await;
    called(&mut talk).await;
    let rows = book.rows().await;
    let row = &rows[0];
    assert_eq!((&*row.kind, row.lane.as_deref(), row.model.as_deref()), ("call", Some("a"), Some("a::x")));
    assert_eq!((&*row.outcome, row.request_bytes, row.answer_bytes), ("served", 16, 4));
    assert_eq!(
        (&*rows[1].outcome, rows[1].reason.as_deref(), &rows[1].model),
        ("refused", Some("unknown_tool"), &None)
    );
}

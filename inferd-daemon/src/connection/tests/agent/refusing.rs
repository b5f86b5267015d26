//! What is refused, with which code and in which words.

use super::*;

#[tokio::test(start_paused = true)]
async fn what_there_is_not_is_named() {
    let (stage, _a, _b) = two_servers().await;
    let backend = Scripted::hanging("lane");
    let rig = Rig::of(&backend).with_servers(&stage, "");
    let mut talk = rig.local();
    let mut answers = Vec::new();
    for fields in [
        json!({ "server": "none" }),
        json!({ "room": "none" }),
        json!({ "thread": "none" }),
        json!({ "server": "A" }),
        json!({ "max_steps": 0 }),
    ] {
        answers.push(talk.ask(&agent("r", &fields)).await);
    }
    insta::assert_snapshot!(answers.join("\n"), @r#"
    {"type":"error","id":"r","code":"invalid_request","message":"agent.server: there is no server \"none\""}
    {"type":"error","id":"r","code":"invalid_request","message":"agent.room: there is no room \"none\""}
    {"type":"error","id":"r","code":"invalid_request","message":"agent.thread: there is no thread \"none\" here, or not any more"}
    {"type":"error","id":"r","code":"invalid_request","message":"agent.server: expected a server's id: 1 to 32 of a-z, 0-9, `-` and single `_`, a letter or digit first"}
    {"type":"error","id":"r","code":"invalid_request","message":"agent.max_steps: expected 1 to 100, got 0"}
    "#);
    assert_eq!((backend.calls(), rig.counts()), (0, (0, 0)));
}

#[tokio::test(start_paused = true)]
async fn more_sessions_than_there_may_be_are_refused_at_once_and_none_is_lost() {
    let backend = Scripted::hanging("lane");
    let rig = Rig::with(&backend, Admission::new(64, 64), ConnectionLimits::default());
    let mut talk = rig.local();
    for n in 0..64 {
        talk.send(&ask_with(&n.to_string(), r#","agent":{}"#)).await;
    }
    backend.called(64).await;
    insta::assert_snapshot!(talk.ask(&ask_with("r", r#","agent":{}"#)).await, @r#"{"type":"error","id":"r","code":"queue_full","message":"at most 64 sessions may run at once","retry_after_ms":50,"queue":{"running":64,"waiting":0,"capacity":64}}"#);
    talk.ask(&cancel("0")).await;
    talk.send(&ask_with("r", r#","agent":{}"#)).await;
    backend.called(65).await;
}

//! Calls that are answered.

use inferd_proto::Request;

use super::*;
use crate::scripted::{Vectors, done};

#[tokio::test(start_paused = true)]
async fn an_answer_comes_as_text_and_as_fields_with_what_it_cost() {
    let rig = Rig::of(Scripted::saying("lane", &["Hel", "lo"]));
    let result = rig.session().await.call("generate", json!({ "prompt": "hi" })).await;
    assert_eq!(text(&result), "Hello");
    insta::assert_snapshot!(result["structuredContent"], @r#"{"backend":"lane","stop_reason":"end","text":"Hello","timings":{"first_token_ms":0,"queue_ms":0,"total_ms":0},"usage":{"completion_tokens":2,"prompt_tokens":1}}"#);
    assert_ne!(result["isError"], true);
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_reaches_the_engine_as_it_would_from_a_socket() {
    let lane = Scripted::saying("lane", &["ok"]);
    let rig = Rig::of(lane.clone());
    let mut session = rig.session().await;
    let fields = json!({
        "prompt": "hi", "system": "be brief", "model": "m", "temperature": 0.5, "max_tokens": 7, "stop": ["."],
        "seed": 3, "priority": "batch", "deadline_ms": 60_000,
    });
    session.call("generate", fields).await;
    let wire = json!({
        "messages": [{ "role": "system", "content": "be brief" }, { "role": "user", "content": "hi" }],
        "model": "m", "temperature": 0.5, "max_tokens": 7, "stop": ["."], "seed": 3, "priority": "batch",
        "deadline_ms": 60_000, "progress": true,
    });
    let wire: Request = serde_json::from_value(wire).unwrap();
    assert_eq!(lane.seen(), [wire.resolve().unwrap()]);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_may_stand_in_the_place_of_a_prompt() {
    let lane = Scripted::saying("lane", &["ok"]);
    let rig = Rig::of(lane.clone());
    let messages = json!([
        { "role": "user", "content": "one" },
        { "role": "assistant", "content": "two" },
        { "role": "user", "content": [{ "type": "text", "text": "three" }] },
    ]);
    rig.session().await.call("generate", json!({ "messages": messages })).await;
    let seen = lane.seen();
    let texts: Vec<_> = seen[0].messages.iter().map(|message| message.content.text()).collect();
    assert_eq!(texts, ["one", "two", "three"]);
}

#[tokio::test(start_paused = true)]
async fn vectors_come_as_fields_and_as_text_only_where_fields_are_not_known() {
    let rig = Rig::of(Arc::new(Vectors { dimensions: 2, hangs: false }));
    let result = rig.session().await.call("embed", json!({ "input": ["a", "b"] })).await;
    assert_eq!(text(&result), "2 vectors of 2 numbers by m");
    let fields = &result["structuredContent"];
    assert_eq!((&fields["dimensions"], &fields["backend"]), (&json!(2), &json!("vectors")), "{fields}");
    assert_eq!(fields["embeddings"].as_array().unwrap().len(), 2);

    let result = rig.session_of("2025-03-26").await.call("embed", json!({ "input": ["a"] })).await;
    let read: Value = serde_json::from_str(text(&result)).unwrap();
    assert_eq!(read["dimensions"], 2);
}

#[tokio::test(start_paused = true)]
async fn vectors_that_are_too_long_for_one_answer_are_refused_with_what_to_do() {
    let rig = Rig::of(Arc::new(Vectors { dimensions: 600_000, hangs: false }));
    let result = rig.session().await.call("embed", json!({ "input": ["a"] })).await;
    assert_eq!(
        text(&result),
        "invalid_request: input: the vectors exceed 2097152 bytes of JSON, ask in parts"
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_an_end_is_ended_and_its_generation_let_go() {
    let lane = Scripted::new("lane", |_, _| Turn::Endless("a".repeat(64 * 1024)));
    let rig = Rig::of(lane.clone());
    let result = rig.session().await.call("generate", json!({ "prompt": "hi" })).await;
    assert_eq!(text(&result).len(), 1024 * 1024);
    assert_eq!(result["structuredContent"]["stop_reason"], "length");
    assert_eq!(result["structuredContent"]["backend"], "lane");
    lane.let_go().await;
    assert_eq!(rig.service().gate.state().running, 0);
}

#[tokio::test(start_paused = true)]
async fn tools_that_the_model_wants_called_are_in_the_result() {
    let call = json!({ "id": "c", "type": "function", "function": { "name": "f", "arguments": "{}" } });
    let calls = vec![serde_json::from_value(call.clone()).unwrap()];
    let mut end = done(1);
    if let inferd_engine::TokenEvent::Done { tool_calls, stop_reason, .. } = &mut end {
        *tool_calls = calls;
        *stop_reason = inferd_proto::StopReason::ToolCalls;
    }
    let rig = Rig::of(Scripted::new("lane", move |_, _| Turn::Say(vec![end.clone()])));
    let tools = json!([{ "type": "function", "function": { "name": "f" } }]);
    let result = rig.session().await.call("generate", json!({ "prompt": "hi", "tools": tools })).await;
    assert_eq!(result["structuredContent"]["tool_calls"], json!([call]));
    assert_eq!(serde_json::from_str::<Value>(text(&result)).unwrap(), json!([call]));
}

#[tokio::test(start_paused = true)]
async fn a_session_is_one_client_and_two_sessions_are_two() {
    let rig = Rig::of(Scripted::hanging("lane"));
    let (mut one, mut other) = (rig.session().await, rig.session().await);
    one.begin("generate", json!({ "prompt": "a" })).await;
    one.begin("generate", json!({ "prompt": "b" })).await;
    other.begin("generate", json!({ "prompt": "c" })).await;
    rig.until(&mut other, |queue| queue.running == 3).await;
    let status = other.call("daemon_status", json!({})).await;
    assert_eq!(status["structuredContent"]["clients"], 2);
}

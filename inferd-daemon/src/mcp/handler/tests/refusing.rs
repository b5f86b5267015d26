//! Calls that are refused, and in which words.

use super::*;
use crate::queue::Limits;

#[tokio::test(start_paused = true)]
async fn a_field_that_is_wrong_is_named_as_the_wire_names_it() {
    let rig = Rig::of(Scripted::saying("lane", &["a"]));
    let mut session = rig.session().await;
    for (arguments, said) in [
        (json!({}), "prompt: expected it or `messages`"),
        (
            json!({ "prompt": "a", "messages": [{ "role": "user", "content": "b" }] }),
            "prompt: expected it or `messages`, not both",
        ),
        (json!({ "prompt": 3 }), "prompt: expected a string"),
        (json!({ "prompt": "a", "temperature": 3 }), "temperature: expected a number from 0 to 2, got 3"),
        (
            json!({ "prompt": "a", "temperature": "hot" }),
            "temperature: invalid type: string \"hot\", expected f64 at line 1 column 20",
        ),
        (json!({ "prompt": "a", "max_tokens": 0 }), "max_tokens: expected at least 1"),
        (json!({ "prompt": "a", "tool_choice": "auto" }), "tool_choice: expected `tools` beside it"),
        (
            json!({ "messages": [{ "role": "user", "content": [] }] }),
            "messages[0].content: expected at least one block",
        ),
    ] {
        let result = session.call("generate", arguments).await;
        assert_eq!(result["isError"], true, "{result}");
        assert_eq!(text(&result), format!("invalid_request: {said}"));
        assert_eq!(result["structuredContent"], json!({ "code": "invalid_request", "message": said }));
    }
    let unknown = session.call("generate", json!({ "prompt": "a", "temprature": 1 })).await;
    assert!(
        text(&unknown).starts_with("invalid_request: temprature: unknown field, expected one of: "),
        "{unknown}"
    );
    let empty = session.call("embed", json!({ "input": ["a", ""] })).await;
    assert_eq!(text(&empty), "invalid_request: input[1]: expected text, got an empty one");
    let absent = session.call("embed", json!({})).await;
    assert!(text(&absent).contains("missing field `input`"), "{absent}");
    let stray = session.call("list_models", json!({ "all": true })).await;
    assert_eq!(text(&stray), "invalid_request: all: unknown field, expected none");
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_an_error_of_the_tool_that_says_when_to_try_again() {
    let rig = Rig::with_gate(Scripted::hanging("lane"), Admission::with_limits(Limits::new(1, 0)));
    let mut session = rig.session().await;
    session.request("logging/setLevel", json!({ "level": "info" })).await;
    session.begin("generate", json!({ "prompt": "a" })).await;
    assert_eq!(session.hear().await["params"]["data"]["status"], "running");
    let result = session.call("generate", json!({ "prompt": "b" })).await;
    let fields = &result["structuredContent"];
    assert_eq!((&result["isError"], &fields["code"]), (&json!(true), &json!("queue_full")), "{result}");
    let retry = fields["retry_after_ms"].as_u64().unwrap();
    assert!(text(&result).ends_with(&format!("try again in {retry} ms")), "{result}");
    assert_eq!(fields["queue"], json!({ "running": 1, "waiting": 0, "capacity": 0 }));
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_not_served_and_an_engine_that_fails_are_told_apart() {
    let lane = Scripted::refusing("lane", inferd_engine::GenerateError::Unavailable("no power".to_owned()));
    let rig = Rig::of(lane);
    let mut session = rig.session().await;
    let result = session.call("generate", json!({ "prompt": "a" })).await;
    assert_eq!(result["structuredContent"]["code"], "backend_unavailable", "{result}");
    let embedded = session.call("embed", json!({ "input": ["a"] })).await;
    assert_eq!(text(&embedded), "invalid_request: no backend here makes embeddings");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_call_of_a_tool_is_an_error_of_the_protocol() {
    let rig = Rig::of(Scripted::saying("lane", &["a"]));
    let mut session = rig.session().await;
    let id = session.begin("nonsense", json!({})).await;
    let answer = session.answer(id).await;
    assert_eq!(answer["error"], json!({ "code": -32602, "message": "there is no tool `nonsense`" }));
    let answer = session.request("resources/read", json!({ "uri": "inferd://secrets" })).await;
    assert_eq!(answer["error"]["message"], "there is no resource inferd://secrets");
}

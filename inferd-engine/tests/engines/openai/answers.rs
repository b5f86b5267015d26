//! What is made of answers, odd ones too.

use super::*;

fn call_delta(call: &Value) -> String {
    delta(&json!({"tool_calls": [call]}))
}

#[tokio::test]
async fn tokens_then_finish_then_usage_then_the_end() {
    let role = delta(&json!({"role": "assistant", "content": ""}));
    let usage =
        json!({"model": "m-1", "choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 5}});
    let (usage, finish) = (usage.to_string(), finish("stop"));
    let events = events(Reply::events([&role, &says("Hel"), &says("lo\n"), &finish, &usage, "[DONE]"])).await;
    assert_eq!(events, [token("Hel"), token("lo\n"), done(StopReason::End, 11, 5)]);
}

#[tokio::test]
async fn without_usage_the_tokens_sent_are_counted() {
    let events =
        events(Reply::events([&says("a"), &says("b"), &says("c"), &finish("length"), "[DONE]"])).await;
    assert_eq!(events.last(), Some(&done(StopReason::Length, 0, 3)));
}

#[tokio::test]
async fn reasoning_is_kept_apart_and_comes_first() {
    for field in ["reasoning_content", "reasoning"] {
        let thinks = |text: &str| delta(&json!({field: text, "content": null}));
        let both = delta(&json!({field: "c", "content": "d"}));
        let chunks = [&thinks("a"), &thinks("b"), &both, &says("e"), &finish("stop"), "[DONE]"];
        let expected = [
            thinking("a"),
            thinking("b"),
            thinking("c"),
            token("d"),
            token("e"),
            done(StopReason::End, 0, 5),
        ];
        assert_eq!(events(Reply::events(chunks)).await, expected, "{field}");
    }
}

#[tokio::test]
async fn tool_calls_are_put_together_from_fragments() {
    let chunks = [
        call_delta(
            &json!({"index": 0, "id": "call_a", "type": "function", "function": {"name": "f", "arguments": ""}}),
        ),
        call_delta(&json!({"index": 1, "function": {"name": "g"}})),
        call_delta(&json!({"index": 0, "function": {"arguments": "{\"x\":"}})),
        call_delta(&json!({"index": 1, "id": "", "function": {"arguments": "{}"}})),
        call_delta(&json!({"index": 0, "id": "call_a", "function": {"arguments": "1}"}})),
        finish("tool_calls"),
        "[DONE]".into(),
    ];
    let calls = vec![call("call_a", "f", "{\"x\":1}"), call("call_1", "g", "{}")];
    assert_eq!(events(Reply::events(chunks)).await, [done_calling(StopReason::ToolCalls, 0, 0, calls)]);
}

#[tokio::test]
async fn whole_tool_calls_without_an_index_of_their_own_stay_apart() {
    for index in [json!(0), Value::Null] {
        let whole = |id: &str| {
            call_delta(&json!({"index": index, "id": id, "function": {"name": "f", "arguments": id}}))
        };
        let calls = vec![call("x", "f", "x"), call("y", "f", "y")];
        let events = events(Reply::events([&whole("x"), &whole("y"), &finish("stop"), "[DONE]"])).await;
        assert_eq!(events, [done_calling(StopReason::ToolCalls, 0, 0, calls)]);
    }
}

#[tokio::test]
async fn tool_calls_without_end_are_cut_off() {
    let endless = (0..200).map(|index| call_delta(&json!({"index": index, "function": {"name": "f"}})));
    let events = events(Reply::events(endless)).await;
    assert_eq!(failure(&events).to_string(), "the model's tool calls have no end");
}

#[tokio::test]
async fn every_finish_reason_has_its_meaning() {
    for (reason, expected) in [
        ("stop", StopReason::End),
        ("eos", StopReason::End),
        ("length", StopReason::Length),
        ("tool_calls", StopReason::ToolCalls),
        ("function_call", StopReason::ToolCalls),
        ("content_filter", StopReason::Error),
    ] {
        let events = events(Reply::events([&says("a"), &finish(reason), "[DONE]"])).await;
        assert_eq!(events.last(), Some(&done(expected, 0, 1)), "{reason}");
    }
}

#[tokio::test]
async fn a_second_finish_changes_nothing_and_done_comes_once() {
    let chunks = [&says("a"), &finish("length"), &finish("stop"), "[DONE]", &says("b"), "[DONE]"];
    assert_eq!(events(Reply::events(chunks)).await, [token("a"), done(StopReason::Length, 0, 1)]);
}

#[tokio::test]
async fn either_of_finish_and_done_is_end_enough() {
    let only_finish = events(Reply::events([says("a"), finish("stop")])).await;
    let only_done = events(Reply::events([&says("a"), "[DONE]"])).await;
    let unended = Reply::events([says("a"), finish("stop")]).bytes("data: [DONE]");
    let reset = events(Reply::events([says("a"), finish("stop")]).reset()).await;
    for events in [only_finish, only_done, events(unended).await, reset] {
        assert_eq!(events, [token("a"), done(StopReason::End, 0, 1)]);
    }
}

#[tokio::test]
async fn comments_other_events_and_other_fields_are_passed_over() {
    let reply = Reply::events([""; 0])
        .text("\u{feff}: OPENROUTER PROCESSING\n\nretry: 10\nid: 7\nevent: ping\ndata: not for us\n\n")
        .text(&format!("event: message\r\ndata:{}\r\n\r\n", says("a")))
        .text(&format!("data: {}\n\ndata: [1]\n\n", json!({"choices": [], "obfuscation": "x"})))
        .event(&json!({"choices": null, "prompt_filter_results": []}).to_string())
        .event(&choice(&json!({"index": 0, "delta": null, "finish_reason": ""})))
        .event(&finish("stop"))
        .event("[DONE]");
    assert_eq!(events(reply).await, [token("a"), done(StopReason::End, 0, 1)]);
}

#[tokio::test]
async fn an_error_in_the_stream_ends_it() {
    let rate = json!({"error": {"message": "slow down", "code": 429}});
    let busy = GenerateError::Busy { reason: "slow down".into(), retry_after: None };
    let invalid = json!({"error": {"message": "too long", "type": "invalid_request_error", "code": null}});
    let text = json!({"error": format!("lost the GPU, key {KEY}")});
    for (error, expected) in [
        (rate, busy),
        (invalid, GenerateError::InvalidRequest("too long".into())),
        (text, GenerateError::Unavailable("lost the GPU, key …".into())),
    ] {
        let events = events(Reply::events([&says("a"), &error.to_string(), &says("b"), "[DONE]"])).await;
        assert_eq!(events, [token("a"), TokenEvent::Failed(expected)]);
    }
}

#[tokio::test]
async fn a_whole_answer_is_taken_even_where_a_stream_was_asked_for() {
    let message = json!({"role": "assistant", "reasoning_content": "hm", "content": "yes", "tool_calls": [
        {"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ]});
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5});
    let choice = json!({"index": 0, "message": message, "finish_reason": "tool_calls"});
    let answer = json!({"model": "m-1", "choices": [choice], "usage": usage});
    let calls = vec![call("x", "f", "{}")];
    let expected = [thinking("hm"), token("yes"), done_calling(StopReason::ToolCalls, 3, 2, calls)];
    assert_eq!(events(Reply::json(200, &answer)).await, expected);

    let upstream = Upstream::start([Reply::json(200, &answer)]).await;
    let whole = answered(&*engine(&upstream), question(false)).await;
    assert_eq!(whole, expected);
}

#[tokio::test]
async fn json_that_is_no_answer_fails() {
    for (body, says) in [
        (json!({"error": {"message": "no"}}), "no"),
        (json!({"status": "ok"}), "the answer holds no completion"),
        (json!(["?"]), "the answer holds no completion"),
    ] {
        let events = events(Reply::json(200, &body)).await;
        assert!(failure(&events).to_string().starts_with(says), "{events:?}");
    }
}

//! What is made of answers, odd ones too.

use super::*;

#[tokio::test]
async fn text_between_its_marks_then_the_end() {
    let reply = stream([
        start(),
        json!({"type": "ping"}),
        block(0, &json!({"type": "text", "text": ""})),
        says("Hel"),
        says("lo\n"),
        says(""),
        json!({"type": "content_block_stop", "index": 0}),
        end("end_turn"),
        stop(),
    ]);
    assert_eq!(events(reply).await, [token("Hel"), token("lo\n"), done(StopReason::End, 7, 5)]);
}

#[tokio::test]
async fn every_split_of_the_bytes_gives_the_same_answer() {
    let reply = || stream([start(), says("naïve 🦀"), says("\u{7f}\\\""), end("end_turn"), stop()]);
    let whole = events(reply()).await;
    assert_eq!(whole, [token("naïve 🦀"), token("\u{7f}\\\""), done(StopReason::End, 7, 5)]);
    assert_eq!(events(reply().byte_by_byte()).await, whole);
    for size in [2, 3, 7, 64, 1 << 20] {
        assert_eq!(events(reply().in_writes_of(size)).await, whole, "{size}");
    }
}

#[tokio::test]
async fn thinking_is_kept_apart_and_what_is_secret_is_left_out() {
    let reply = stream([
        start(),
        block(0, &json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, &json!({"type": "thinking_delta", "thinking": "hm"})),
        delta(0, &json!({"type": "thinking_delta", "thinking": ", yes"})),
        delta(0, &json!({"type": "signature_delta", "signature": "EqQBCgIYAhIM"})),
        json!({"type": "content_block_stop", "index": 0}),
        block(1, &json!({"type": "redacted_thinking", "data": "EmwKAhgB"})),
        block(2, &json!({"type": "text", "text": "So"})),
        delta(2, &json!({"type": "text_delta", "text": " be it."})),
        delta(2, &json!({"type": "citations_delta", "citation": {"cited_text": "x"}})),
        end("end_turn"),
        stop(),
    ]);
    let expected =
        [thinking("hm"), thinking(", yes"), token("So"), token(" be it."), done(StopReason::End, 7, 5)];
    assert_eq!(events(reply).await, expected);
}

#[tokio::test]
async fn tool_calls_are_put_together_from_fragments_of_several_blocks() {
    let uses = |id: &str, name: &str| json!({"type": "tool_use", "id": id, "name": name, "input": {}});
    let input = |index, json: &str| delta(index, &json!({"type": "input_json_delta", "partial_json": json}));
    let reply = stream([
        start(),
        block(1, &uses("toolu_a", "f")),
        input(1, ""),
        input(1, "{\"x\":"),
        block(2, &uses("toolu_b", "g")),
        input(2, "{\"y\""),
        input(1, " 1}"),
        input(2, ": []}"),
        block(3, &uses("toolu_c", "h")),
        json!({"type": "content_block_stop", "index": 3}),
        end("tool_use"),
        stop(),
    ]);
    let calls = vec![
        call("toolu_a", "f", "{\"x\": 1}"),
        call("toolu_b", "g", "{\"y\": []}"),
        call("toolu_c", "h", "{}"),
    ];
    assert_eq!(events(reply).await, [done_calling(StopReason::ToolCalls, 7, 5, calls)]);
}

#[tokio::test]
async fn tools_that_the_server_uses_itself_are_not_for_the_caller_to_call() {
    let own = json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}});
    let found =
        json!({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"text": {}}]});
    let reply = stream([
        start(),
        block(0, &own),
        delta(0, &json!({"type": "input_json_delta", "partial_json": "{\"query\":\"x\"}"})),
        block(1, &found),
        delta(2, &json!({"type": "text_delta", "text": "found"})),
        end("end_turn"),
        stop(),
    ]);
    assert_eq!(events(reply).await, [token("found"), done(StopReason::End, 7, 5)]);
}

#[tokio::test]
async fn an_input_that_comes_whole_is_taken_as_it_stands() {
    let uses = json!({"type": "tool_use", "id": "t", "name": "f", "input": {"z": 1, "a": 12_345_678_901_234_567_890_u64}});
    let input = delta(1, &json!({"type": "input_json_delta", "partial_json": "{\"z\":1}"}));
    let reply = stream([start(), block(1, &uses), input, end("tool_use"), stop()]);
    let arguments = uses["input"].to_string();
    assert_eq!(
        events(reply).await,
        [done_calling(StopReason::ToolCalls, 7, 5, vec![call("t", "f", &arguments)])]
    );
}

#[tokio::test]
async fn every_stop_reason_has_its_meaning() {
    for (reason, expected) in [
        ("end_turn", StopReason::End),
        ("stop_sequence", StopReason::End),
        ("pause_turn", StopReason::End),
        ("max_tokens", StopReason::Length),
        ("model_context_window_exceeded", StopReason::Length),
        ("tool_use", StopReason::ToolCalls),
        ("refusal", StopReason::Error),
        ("something_new", StopReason::End),
    ] {
        let events = events(stream([start(), says("a"), end(reason), stop()])).await;
        assert_eq!(events, [token("a"), done(expected, 7, 5)], "{reason}");
    }
}

#[tokio::test]
async fn tokens_read_are_counted_with_those_from_the_cache_and_later_counts_replace_earlier_ones() {
    let cached = json!({"type": "message_start", "message": {"model": "m-1", "usage": {
        "input_tokens": 3, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 100, "output_tokens": 2
    }}});
    let later = |usage: &Value| json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage});
    let full = json!({"input_tokens": 4, "cache_read_input_tokens": null, "output_tokens": 9});
    for (usage, expected) in [
        (json!({"output_tokens": 9}), done(StopReason::End, 123, 9)),
        (full, done(StopReason::End, 124, 9)),
        (Value::Null, done(StopReason::End, 123, 1)),
    ] {
        let events = events(stream([cached.clone(), says("a"), later(&usage), stop()])).await;
        assert_eq!(events, [token("a"), expected], "{usage}");
    }
}

#[tokio::test]
async fn without_usage_the_tokens_sent_are_counted() {
    let bare = json!({"type": "message_start", "message": {"model": "m-1"}});
    let end = json!({"type": "message_delta", "delta": {"stop_reason": "max_tokens"}});
    let events = events(stream([bare, says("a"), says("b"), says("c"), end, stop()])).await;
    assert_eq!(events.last(), Some(&done(StopReason::Length, 0, 3)));
}

#[tokio::test]
async fn a_second_end_changes_nothing_and_done_comes_once() {
    let reply =
        stream([start(), says("a"), end("max_tokens"), end("end_turn"), stop(), says("b"), stop(), start()]);
    assert_eq!(events(reply).await, [token("a"), done(StopReason::Length, 7, 5)]);
}

#[tokio::test]
async fn either_of_stop_reason_and_message_stop_is_end_enough() {
    let end = || end("end_turn");
    for reply in [
        stream([start(), says("a"), end()]),
        stream([start(), says("a"), end()]).reset(),
        stream([start(), says("a"), end()]).bytes("event: message_stop\ndata: {\"type\":\"message_stop\"}"),
    ] {
        assert_eq!(events(reply).await, [token("a"), done(StopReason::End, 7, 5)]);
    }
    let unexplained = events(stream([start(), says("a"), stop()])).await;
    assert_eq!(unexplained, [token("a"), done(StopReason::End, 7, 1)]);
}

#[tokio::test]
async fn comments_events_blocks_and_deltas_that_nobody_knows_are_passed_over() {
    let reply = Reply::events([""; 0])
        .text("\u{feff}: hello\n\nretry: 10\nid: 7\nevent: ping\ndata: not for us\n\n")
        .event(&start().to_string())
        .event(&json!({"type": "brand_new", "message": "x", "delta": 7, "index": "y"}).to_string())
        .event(&json!({"type": 7}).to_string().replace('7', "null"))
        .event(&block(0, &json!({"type": "brand_new", "text": {"not": "text"}})).to_string())
        .event(&delta(0, &json!({"type": "brand_new_delta", "text": ["not", "text"]})).to_string())
        .event(&says("a").to_string())
        .event(&end("end_turn").to_string())
        .event("[DONE]")
        .event(&stop().to_string());
    assert_eq!(events(reply).await, [token("a"), done(StopReason::End, 7, 5)]);
}

#[tokio::test]
async fn a_whole_answer_is_taken_even_where_a_stream_was_asked_for() {
    let answer = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m-1", "stop_reason": "tool_use",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "x"},
            {"type": "text", "text": "Let me "},
            {"type": "text", "text": "see."},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"z": 1, "a": 2}},
            {"type": "tool_use", "id": "u", "name": "g", "input": {}}
        ],
        "usage": {"input_tokens": 7, "output_tokens": 5}
    });
    let calls = vec![call("t", "f", "{\"z\":1,\"a\":2}"), call("u", "g", "{}")];
    // As text, so that the order of the members stays.
    let body = answer.to_string().replace("{\"a\":2,\"z\":1}", "{\"z\":1,\"a\":2}");
    let reply = Reply::status(200).header("content-type", "application/json").text(&body).with_length();
    let expected = [thinking("hm"), token("Let me see."), done_calling(StopReason::ToolCalls, 7, 5, calls)];
    assert_eq!(events(reply.clone()).await, expected);

    let upstream = Upstream::start([reply]).await;
    let whole = answered(&*engine(&upstream), question(false)).await;
    assert_eq!(whole, expected);
}

//! What is made of answers, odd ones too.

use super::*;

/// What the lane was blamed for.
fn failed(events: &[TokenEvent]) -> &str {
    match failure(events) {
        GenerateError::Unavailable(reason) => reason,
        other => panic!("expected the lane to fail, got {other:?}"),
    }
}

fn whole() -> [TokenEvent; 3] {
    [token("Hel"), token("lo\n"), done(StopReason::End, 11, 5)]
}

#[tokio::test]
async fn lines_become_tokens_and_the_last_one_tells_how_it_ended() {
    assert_eq!(events(Reply::lines([says("Hel"), says("lo\n"), says(""), stop()])).await, whole());
}

#[tokio::test]
async fn where_a_line_is_cut_and_how_it_ends_changes_nothing() {
    let lines = Reply::lines([says("Hel"), says("lo\n"), stop()]);
    assert_eq!(events(lines.byte_by_byte()).await, whole(), "a byte a write");
    let returns = [says("Hel"), String::new(), says("lo\n"), stop()].map(|line| format!("{line}\r"));
    assert_eq!(events(Reply::lines(returns)).await, whole(), "CRLF and an empty line");
    let unended = Reply::lines([says("Hel"), says("lo\n")]).text(&stop());
    assert_eq!(events(unended.clone()).await, whole(), "a last line without its newline");
    assert_eq!(events(unended.until_close()).await, whole(), "and without its chunk");
    assert_eq!(
        events(Reply::lines([says("Hel"), says("lo\n"), stop()]).in_writes_of(1 << 20)).await,
        whole(),
        "many lines a chunk"
    );
}

#[tokio::test]
async fn lines_are_lines_whatever_a_proxy_calls_them() {
    for content_type in
        ["application/x-ndjson", "application/json; charset=utf-8", "text/plain; charset=utf-8"]
    {
        let reply = Reply::status(200).header("content-type", content_type);
        let reply = [says("Hel"), says("lo\n"), stop()]
            .iter()
            .fold(reply, |reply, line| reply.text(&format!("{line}\n")));
        assert_eq!(events(reply).await, whole(), "{content_type}");
    }
    let undeclared = Reply::status(200).text(&[says("Hel"), says("lo\n"), stop()].join("\n"));
    assert_eq!(events(undeclared).await, whole());
    let page = Reply::status(200).header("content-type", "text/html").text("<html>Welcome</html>");
    let error = asked::refused(&Ollama, page).await;
    assert_eq!(error, GenerateError::Unavailable("answered with text/html, which is no completion".into()));
}

#[tokio::test]
async fn reasoning_is_kept_apart_and_comes_first() {
    let thinks = |text: &str| line(&json!({"role": "assistant", "content": "", "thinking": text}));
    let both = line(&json!({"role": "assistant", "content": "d", "thinking": "c"}));
    assert_eq!(
        events(Reply::lines([thinks("a"), thinks("b"), both, says("e"), stop()])).await,
        [thinking("a"), thinking("b"), thinking("c"), token("d"), token("e"), done(StopReason::End, 11, 5)]
    );
}

#[tokio::test]
async fn tool_calls_come_whole_and_their_arguments_become_text_as_it_stands() {
    let calls = |calls: &str| {
        format!(
            r#"{{"model":"m-1","message":{{"role":"assistant","content":"","tool_calls":{calls}}},"done":false}}"#
        )
    };
    let lines = [
        calls(r#"[{"id":"call_x","function":{"index":0,"name":"f","arguments":{"b": 1.50, "a":"é\n"}}}]"#),
        calls(r#"[{"function":{"name":"f","arguments":{}}},{"function":{"name":"g","arguments":null}}]"#),
        calls(
            r#"[{"id":"","function":{"index":0,"name":"h","arguments":"{\"as\":\"text\"}"}},{"function":{"name":"i"}}]"#,
        ),
        stop(),
    ];
    let expected = vec![
        call("call_x", "f", r#"{"b": 1.50, "a":"é\n"}"#),
        call("call_1", "f", "{}"),
        call("call_2", "g", "{}"),
        call("call_3", "h", r#"{"as":"text"}"#),
        call("call_4", "i", "{}"),
    ];
    let expected = [done_calling(StopReason::ToolCalls, 11, 5, expected)];
    assert_eq!(events(Reply::lines(&lines)).await, expected);
    assert_eq!(events(Reply::lines(&lines).byte_by_byte()).await, expected);
}

#[tokio::test]
async fn tool_calls_without_end_are_cut_off() {
    let one = line(&json!({"content": "", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}));
    let events = events(Reply::lines(std::iter::repeat_n(one, 200))).await;
    assert_eq!(failed(&events), "the model's tool calls have no end");
}

#[tokio::test]
async fn every_reason_to_end_has_its_meaning() {
    for (reason, expected) in [
        (json!({"done_reason": "stop"}), StopReason::End),
        (json!({"done_reason": "length"}), StopReason::Length),
        (json!({"done_reason": ""}), StopReason::End),
        (json!({"done_reason": null}), StopReason::End),
        (json!({}), StopReason::End),
    ] {
        let events = events(Reply::lines([says("a"), last(&reason)])).await;
        assert_eq!(events, [token("a"), done(expected, 0, 1)], "{reason}");
    }
}

#[tokio::test]
async fn a_conversation_without_a_word_gets_an_answer_without_one() {
    for reason in ["load", "unload"] {
        let answer: Value = serde_json::from_str(&last(&json!({"done_reason": reason}))).expect("JSON");
        assert_eq!(events(Reply::json(200, &answer)).await, [done(StopReason::End, 0, 0)], "{reason}");
    }
}

#[tokio::test]
async fn the_last_line_may_hold_text_or_no_message_at_all() {
    let text = last(&json!({"message": {"content": "b"}, "eval_count": 2}));
    assert_eq!(
        events(Reply::lines([says("a"), text])).await,
        [token("a"), token("b"), done(StopReason::End, 0, 2)]
    );
    let bare = last(&json!({"message": null, "prompt_eval_count": 3}));
    assert_eq!(events(Reply::lines([says("a"), bare])).await, [token("a"), done(StopReason::End, 3, 0)]);
}

#[tokio::test]
async fn fields_that_are_not_known_are_passed_over_and_nothing_after_the_end_is_read() {
    let odd = json!({
        "model": "m-1", "remote_host": "x", "logprobs": [{"token": "a", "logprob": -0.1}],
        "message": {"role": "assistant", "content": "a", "images": null, "thinking": null, "tool_calls": null}
    });
    let lines =
        [odd.to_string(), stop(), says("b"), "not JSON".into(), last(&json!({"done_reason": "length"}))];
    assert_eq!(events(Reply::lines(lines)).await, [token("a"), done(StopReason::End, 11, 5)]);
}

#[tokio::test]
async fn an_answer_that_ends_without_done_is_cut_short() {
    for reply in [
        Reply::lines([says("a")]),
        Reply::lines([says("a")]).end(),
        Reply::lines([says("a")]).reset(),
        Reply::lines([says("a")]).until_close(),
        Reply::lines([says("a")]).text(&stop()[..60]),
    ] {
        let events = events(reply).await;
        assert_eq!((events.len(), &events[0]), (2, &token("a")));
        assert!(failed(&events).starts_with("the stream was cut short: "), "{events:?}");
    }
    assert_eq!(
        failed(&events(Reply::lines([says("a")])).await),
        "the stream was cut short: no line with `done` came"
    );
}

#[tokio::test]
async fn an_error_in_the_stream_ends_it() {
    let error = json!({"error": "model runner has unexpectedly stopped"}).to_string();
    for reply in
        [Reply::lines([says("a"), error.clone(), says("b"), stop()]), Reply::lines([says("a")]).text(&error)]
    {
        let events = events(reply).await;
        assert_eq!(events[0], token("a"));
        assert_eq!(failed(&events), "model runner has unexpectedly stopped");
    }
}

#[tokio::test]
async fn refusals_are_told_in_ollamas_words() {
    let said = |status, text: &str| asked::refused(&Ollama, Reply::json(status, &json!({"error": text})));
    assert_eq!(said(404, "model 'm' not found").await, GenerateError::ModelNotFound("m".into()));
    assert_eq!(
        said(400, "\"m\" does not support tools").await,
        GenerateError::InvalidRequest("\"m\" does not support tools".into())
    );
    let busy = "server busy, please try again.  maximum pending requests exceeded";
    assert_eq!(said(503, busy).await, GenerateError::Unavailable(format!("503 service unavailable: {busy}")));
    assert_eq!(
        said(500, "model requires more system memory (9.1 GiB) than is available (3.4 GiB)").await,
        GenerateError::Unavailable(
            "500 internal server error: model requires more system memory (9.1 GiB) than is available (3.4 GiB)"
                .into()
        )
    );
}

#[tokio::test]
async fn what_is_no_answer_fails() {
    for (line, says) in [
        ("{\"status\":\"ok\"}", "the stream was cut short: no line with `done` came"),
        ("[1]", "the answer is not understood: "),
        ("data: {}", "the answer is not understood: "),
        ("{\"message\":{\"content\":7},\"done\":true}", "the answer is not understood: "),
    ] {
        let events = events(Reply::lines([line])).await;
        assert_eq!(events.len(), 1, "{line}");
        assert!(failed(&events).starts_with(says), "{line}: {events:?}");
    }
    let upstream = Upstream::start([Reply::json(200, &json!({"status": "ok"}))]).await;
    let short = inferd_proto::Resolved { max_tokens: Some(1), ..question(false) };
    let events = answered(&*engine(&upstream), short).await;
    assert_eq!(failed(&events), "the answer holds no completion");
}

#[tokio::test]
async fn a_line_without_end_is_refused() {
    let endless = Reply::lines([says("a")]).bytes(vec![b'x'; 2 * 1024 * 1024]).hang();
    assert_eq!(failed(&events(endless).await), "a line exceeds 1048576 bytes");
}

//! What is made of an answer.

use inferd_proto::Usage;

use super::*;

#[tokio::test]
async fn reasoning_tools_usage_and_model_come_back() {
    let mut last = done_for("tool_calls", "yes");
    last["tool_calls"] =
        json!([{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
    let frames = vec![
        json!({"type": "status", "status": "queued", "position": 1}),
        json!({"type": "status", "status": "running", "backend": "over there"}),
        json!({"type": "token", "content": "let me \"see\"", "kind": "thinking"}),
        token("yes"),
        last,
    ];
    let calls = vec![call("c1", "f", "{}")];
    let expected =
        [thinking("let me \"see\""), said("yes"), told::done_calling(StopReason::ToolCalls, 3, 2, calls)];
    assert_eq!(events(frames).await, expected);
}

#[tokio::test]
async fn why_it_ended_is_passed_on_and_an_end_that_nobody_here_asked_for_is_a_failure() {
    for (reason, expected) in
        [("end", StopReason::End), ("length", StopReason::Length), ("error", StopReason::Error)]
    {
        let events = events(vec![token("a"), done_for(reason, "a")]).await;
        assert_eq!(events, [said("a"), ended(expected)], "{reason}");
    }
    let why = "the answer was cut short: cancelled by the other daemon".to_owned();
    let failed = TokenEvent::Failed(GenerateError::Unavailable(why));
    assert_eq!(events(vec![token("a"), done_for("cancelled", "a")]).await, [said("a"), failed]);
}

#[tokio::test]
async fn a_whole_answer_is_taken_even_where_a_stream_was_asked_for() {
    assert_eq!(events(vec![done("all of it")]).await, [said("all of it"), ended(StopReason::End)]);
    let thought = json!({"type": "token", "content": "hm", "kind": "thinking"});
    assert_eq!(
        events(vec![thought, done("yes")]).await,
        [thinking("hm"), said("yes"), ended(StopReason::End)]
    );
    assert_eq!(events(vec![done("")]).await, [ended(StopReason::End)]);
}

#[tokio::test]
async fn unknown_frames_fields_and_kinds_are_passed_over() {
    let frames = vec![
        json!({"type": "weather", "content": {"sun": true}, "usage": 7}),
        json!({"type": "weather", "id": "another's", "content": "b"}),
        json!({"type": "token", "content": "a", "logprob": -0.5, "more": {"id": "x"}}),
        json!({"type": "token", "content": "not said", "kind": "stage direction"}),
        token(""),
        json!({"type": "status", "status": "dancing", "position": 9}),
        done("a"),
    ];
    assert_eq!(events(frames).await, [said("a"), ended(StopReason::End)]);
}

#[tokio::test]
async fn a_daemon_that_knows_no_hello_answers_all_the_same() {
    let no = json!({"type": "error", "id": "", "code": "invalid_request", "message": "type: what?"});
    let upstream = Upstream::daemon(Reply::frames([&no]), [says(vec![token("a"), done("a")])]).await;
    let engine = engine(&upstream);
    for _ in 0..2 {
        let events = answered(&engine, question(true)).await;
        assert_eq!(events, [said("a"), ended(StopReason::End)]);
    }
    assert_eq!(upstream.counts().accepted, 1);
}

#[tokio::test]
async fn what_v1_leaves_out_is_missed_by_nobody() {
    let last = json!({
        "type": "done", "content": "a", "usage": {"prompt_tokens": 1, "completion_tokens": 1},
        "stop_reason": "end", "backend": "b",
    });
    let usage = Usage { prompt_tokens: 1, completion_tokens: 1 };
    let done = TokenEvent::Done { stop_reason: StopReason::End, usage, tool_calls: Vec::new(), model: None };
    assert_eq!(events(vec![token("a"), last]).await, [said("a"), done]);
}

#[tokio::test]
async fn a_last_line_without_its_end_is_a_line() {
    let answer: Answer = Box::new(|asked: &Recorded| {
        let id = &asked.json()["id"];
        let first = named(token("a"), id);
        Reply::frames([&first]).text(&named(done("a"), id).to_string()).end()
    });
    assert_eq!(events_of(answer).await, [said("a"), ended(StopReason::End)]);
}

#[tokio::test]
async fn line_ends_may_be_those_of_another_system() {
    let answer: Answer = Box::new(|asked: &Recorded| {
        let id = &asked.json()["id"];
        let (first, last) = (named(token("a"), id), named(done("a"), id));
        Reply::frames([]).text(&format!("\r\n\n{first}\r\n\n{last}\r\n"))
    });
    assert_eq!(events_of(answer).await, [said("a"), ended(StopReason::End)]);
}

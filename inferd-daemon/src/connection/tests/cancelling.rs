//! `cancel`: the request ends with what it has said.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_running_answer_ends_with_what_was_generated() {
    let (backend, mut called) = dictated();
    let rig = Rig::of(&backend);
    let mut talk = rig.local();
    talk.send(&ask("a")).await;
    let say = called.next().await;
    say.send(token("1")).await.unwrap();
    say.send(token("2")).await.unwrap();
    talk.frame().await;
    talk.frame().await;
    insta::assert_snapshot!(talk.ask(&cancel("a")).await, @r#"{"type":"done","id":"a","content":"12","usage":{"prompt_tokens":0,"completion_tokens":2},"stop_reason":"cancelled","backend":"lane"}"#);
    backend.let_go().await;
    assert_eq!(rig.counts(), (0, 0));
    assert_eq!(rig.service.router.state()[0].state, "passing");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_has_no_token_yet_ends_with_nothing() {
    let backend = Scripted::hanging("lane");
    let rig = Rig::of(&backend);
    let mut talk = rig.local();
    talk.send(&ask("a")).await;
    backend.called(1).await;
    insta::assert_snapshot!(talk.ask(&cancel("a")).await, @r#"{"type":"done","id":"a","content":"","usage":{"prompt_tokens":0,"completion_tokens":0},"stop_reason":"cancelled","backend":"lane"}"#);
    backend.let_go().await;
    assert_eq!(rig.counts(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_leaves_the_queue() {
    let backend = Scripted::hanging("lane");
    let rig = Rig::one_by_one(&backend);
    let mut talk = rig.local();
    for id in ["runs", "waits", "waits too"] {
        talk.send(&ask(id)).await;
    }
    backend.called(1).await;
    assert_eq!(rig.counts(), (1, 2));
    insta::assert_snapshot!(talk.ask(&cancel("waits")).await, @r#"{"type":"done","id":"waits","content":"","usage":{"prompt_tokens":0,"completion_tokens":0},"stop_reason":"cancelled","backend":""}"#);
    assert_eq!(rig.counts(), (1, 1));
    // The next in line is served in its place.
    talk.ask(&cancel("runs")).await;
    backend.called(2).await;
    assert_eq!((rig.counts(), backend.calls()), ((1, 0), 2));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_streamed_is_cancelled_with_its_text() {
    let (backend, mut called) = dictated();
    let rig = Rig::of(&backend);
    let mut talk = rig.local();
    talk.send(&ask_with("a", r#","stream":false"#)).await;
    let say = called.next().await;
    say.send(token("1")).await.unwrap();
    settled().await;
    insta::assert_snapshot!(talk.ask(&cancel("a")).await, @r#"{"type":"done","id":"a","content":"1","usage":{"prompt_tokens":0,"completion_tokens":1},"stop_reason":"cancelled","backend":"lane"}"#);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_id_is_ignored() {
    let backend = Scripted::saying("lane", &["1"]);
    let rig = Rig::of(&backend);
    let mut talk = rig.local();
    talk.send(&cancel("never")).await;
    talk.send(&ask("a")).await;
    talk.frames(1).await;
    talk.send(&cancel("a")).await;
    talk.half_close().await;
    talk.closed().await;
}

#[tokio::test(start_paused = true)]
async fn another_connection_cannot_cancel_it() {
    let (rig, mut called) = Rig::dictated();
    let (mut mine, mut other) = (rig.local(), rig.local());
    mine.send(&ask("a")).await;
    let say = called.next().await;
    other.send(&cancel("a")).await;
    settled().await;
    say.send(done(0)).await.unwrap();
    assert!(is_done(&mine.frame().await, "a", ""));
}

#[tokio::test(start_paused = true)]
async fn one_whose_reader_is_behind_can_be_cancelled() {
    let backend = Scripted::new("lane", |_, _| Turn::Endless("x".repeat(1000)));
    let rig = Rig::of(&backend);
    let mut talk = rig.connect::<true>(256 * 1024, "");
    talk.send(&ask("a")).await;
    backend.called(1).await;
    talk.send(&cancel("a")).await;
    let frames = talk.frames(1).await;
    assert!(matches!(frames.last(), Some(Response::Done { stop_reason: StopReason::Cancelled, .. })));
    backend.let_go().await;
}

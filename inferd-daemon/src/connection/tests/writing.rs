//! When bytes leave, and what happens while nobody takes them.

use super::*;

#[tokio::test(start_paused = true)]
async fn whatever_is_ready_together_leaves_in_one_write() {
    const TOKENS: [&str; 100] = ["token"; 100];
    let backend = Scripted::saying("lane", &TOKENS);
    let rig = Rig::of(&backend);
    let mut talk = rig.local();
    talk.send_bytes(format!("{}\n{}\n", ask("a"), ask("b")).as_bytes()).await;
    assert_eq!(talk.frames(2).await.len(), 2 * 101);
    assert_eq!(talk.writes(), 1);
    talk.ask(&ask("c")).await;
    assert_eq!(talk.writes(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_ready_alone_is_written_before_the_next() {
    let (rig, mut called) = Rig::dictated();
    let mut talk = rig.local();
    talk.send(&ask("a")).await;
    let say = called.next().await;
    let before = Instant::now();
    for number in 1..=20 {
        say.send(token("1")).await.unwrap();
        assert!(is_token(&talk.frame().await, "a", "1"));
        assert_eq!(talk.writes(), number);
    }
    assert_eq!(before.elapsed(), Duration::ZERO, "nothing waits for a timer");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_streamed_is_one_frame_in_one_write() {
    let (backend, mut called) = dictated();
    let rig = Rig::of(&backend);
    let mut talk = rig.local();
    talk.send(&ask_with("a", r#","stream":false"#)).await;
    let say = called.next().await;
    for text in ["1", "\"", "ü"] {
        say.send(token(text)).await.unwrap();
        settled().await;
    }
    say.send(done(3)).await.unwrap();
    assert!(is_done(&talk.frame().await, "a", "1\"ü"));
    assert_eq!(talk.writes(), 1);
    assert!(!backend.seen()[0].stream, "the engine is told");
}

/// What a connection may hold for a reader that is behind: what is being written, what waits, and the pipe itself.
const HELD_BYTES_MAX: usize = 2 * 64 * 1024 + 1024;

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_read_stops_its_producers_and_nobody_else() {
    let text = "x".repeat(100);
    let frame_bytes = format!(r#"{{"type":"token","id":"a","content":"{text}"}}"#).len() + 1;
    let backend = Scripted::new("lane", move |call, _| match call {
        0 | 1 => Turn::Endless(text.clone()),
        _ => Turn::Say(answer(&["1"])),
    });
    let rig = Rig::of(&backend);
    let mut behind = rig.connect::<true>(1024, "");
    behind.send(&ask("a")).await;
    behind.send(&ask("b")).await;
    settled().await;
    let said = backend.said();
    assert!(said >= 64 * 1024 / frame_bytes, "it fills what there is: {said}");
    assert!(said <= HELD_BYTES_MAX / frame_bytes + 4, "{said} frames of {frame_bytes} bytes");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(backend.said(), said, "nothing is generated for nobody");

    let mut other = rig.local();
    other.send(&ask("c")).await;
    assert!(is_done(&other.frames(1).await[1], "c", "1"));

    // Both go on as soon as it reads.
    let mut tokens = [0, 0];
    while tokens.iter().any(|&tokens| tokens < 2 * said) {
        let frame = behind.frame().await;
        assert!(matches!(frame, Response::Token { .. }));
        tokens[usize::from(frame.id() == "b")] += 1;
        assert!(tokens[0] + tokens[1] < 100 * said, "one starves the other: {tokens:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_read_is_not_read_from() {
    let backend = Scripted::saying("lane", &["1"]);
    let rig = Rig::of(&backend);
    let mut talk = rig.connect::<true>(1024, "");
    let lines = "x\n".repeat(512);
    let mut sent = 0;
    // Each refusal is longer than what it refuses; a daemon that went on reading would hold all of them.
    while tokio::time::timeout(Duration::from_secs(1), talk.to.write_all(lines.as_bytes())).await.is_ok() {
        sent += lines.len();
        assert!(sent < 64 * 1024, "it is read for ever");
    }
    assert!(is_error(&talk.frame().await, "", ErrorCode::InvalidRequest));
}

//! What is no request, and how requests may arrive.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_line_that_is_wrong_is_refused_and_the_connection_goes_on() {
    let backend = Scripted::saying("lane", &["1"]);
    let rig = Rig::of(&backend);
    let mut talk = rig.local();
    let mut answers = Vec::new();
    for line in [
        "nonsense".to_owned(),
        "[1]".to_owned(),
        r#"{"id":"cut","messages":[{"#.to_owned(),
        r#"{"id":"empty","messages":[]}"#.to_owned(),
        ask_with("hot", r#","temperature":3"#),
        ask_with("agent", r#","agent":{"server":"x"}"#),
        r#"{"id":"servers","type":"servers"}"#.to_owned(),
        r#"{"id":"tools","type":"tools","server":"x"}"#.to_owned(),
        r#"{"id":"call","type":"call","tool":"x::y"}"#.to_owned(),
        r#"{"id":"odd","type":"teleport"}"#.to_owned(),
    ] {
        answers.push(talk.ask(&line).await);
    }
    talk.send_bytes(b"{\"id\":\"u\",\"messages\":\"\xff\"}\n").await;
    answers.push(talk.lines().await);
    insta::assert_snapshot!(answers.join("\n"), @r#"
    {"type":"error","id":"","code":"invalid_request","message":"expected a JSON object on each line"}
    {"type":"error","id":"","code":"invalid_request","message":"expected a JSON object on each line"}
    {"type":"error","id":"cut","code":"invalid_request","message":"not valid JSON: EOF while parsing an object at line 1 column 25"}
    {"type":"error","id":"empty","code":"invalid_request","message":"messages: expected at least one message"}
    {"type":"error","id":"hot","code":"invalid_request","message":"temperature: expected a number from 0 to 2, got 3"}
    {"type":"error","id":"agent","code":"invalid_request","message":"agent.server: there is no server \"x\""}
    {"type":"error","id":"servers","code":"invalid_request","message":"this daemon has no servers"}
    {"type":"error","id":"tools","code":"invalid_request","message":"this daemon has no servers"}
    {"type":"error","id":"call","code":"invalid_request","message":"this daemon has no servers"}
    {"type":"error","id":"odd","code":"invalid_request","message":"type: expected `request`, `cancel`, `hello`, `embed`, `servers`, `tools`, `call` or `auth`, got `teleport`"}
    {"type":"error","id":"u","code":"invalid_request","message":"not valid JSON: invalid unicode code point at line 1 column 23"}
    "#);
    assert_eq!((backend.calls(), rig.counts()), (0, (0, 0)), "what is wrong takes no place");

    talk.send(&ask("right")).await;
    assert!(is_done(&talk.frames(1).await[1], "right", "1"));
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_is_too_large_closes_the_connection_when_what_is_open_has_ended() {
    let (backend, mut called) = dictated();
    let limits = ConnectionLimits { frame_bytes_max: 100, ..ConnectionLimits::default() };
    let rig = Rig::with(&backend, Admission::new(4, 16), limits);
    let mut talk = rig.local();
    talk.send(&ask("a")).await;
    let say = called.next().await;
    talk.send_bytes(&[b'x'; 101]).await;
    insta::assert_snapshot!(talk.lines().await, @r#"{"type":"error","id":"","code":"frame_too_large","message":"frame exceeds 100 bytes"}"#);
    // What follows is not read as requests, not even after a line end.
    talk.send(&format!("\n{}", ask("b"))).await;
    tokio::time::advance(Duration::from_secs(10)).await;
    say.send(token("1")).await.unwrap();
    say.send(done(1)).await.unwrap();
    assert!(is_done(&talk.frames(1).await[1], "a", "1"));
    talk.closed().await;
    assert_eq!(backend.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_broke_the_framing_and_goes_on_sending_is_closed_on() {
    let backend = Scripted::saying("lane", &["1"]);
    let limits = ConnectionLimits { frame_bytes_max: 100, ..ConnectionLimits::default() };
    let rig = Rig::with(&backend, Admission::new(4, 16), limits);
    let mut talk = rig.local();
    talk.send_bytes(&[b'x'; 101]).await;
    assert!(is_error(&talk.frame().await, "", ErrorCode::FrameTooLarge));
    let before = Instant::now();
    while talk.to.write_all(&[b'x'; 1000]).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(before.elapsed() <= 2 * LINGER, "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_request_is_read_however_it_is_cut_and_ended() {
    let backend = Scripted::saying("lane", &["1"]);
    let rig = Rig::of(&backend);
    let mut talk = rig.local();
    let bytes = format!("\r\n\n{}\r\n{}\n\n", ask("a"), ask("b"));
    for byte in bytes.as_bytes() {
        talk.send_bytes(&[*byte]).await;
        settled().await;
    }
    let frames = talk.frames(2).await;
    assert!(is_done(&frames[1], "a", "1") && is_done(&frames[3], "b", "1"));
}

#[tokio::test(start_paused = true)]
async fn the_last_line_may_lack_its_end() {
    let backend = Scripted::saying("lane", &["1"]);
    let rig = Rig::of(&backend);
    let mut talk = rig.local();
    talk.send_bytes(ask("a").as_bytes()).await;
    talk.half_close().await;
    assert!(is_done(&talk.frames(1).await[1], "a", "1"));
    talk.closed().await;
}

#[tokio::test(start_paused = true)]
async fn what_came_with_a_key_is_served() {
    let backend = Scripted::saying("lane", &["1"]);
    let rig = Rig::of(&backend);
    let whole_and_half = format!("{}\n{{\"id\":\"b\",", ask("a"));
    let mut talk = rig.connect::<false>(PIPE_BYTES, &whole_and_half);
    assert!(is_done(&talk.frames(1).await[1], "a", "1"));
    talk.send(r#""messages":[{"role":"user","content":"hi"}]}"#).await;
    assert!(is_done(&talk.frames(1).await[1], "b", "1"));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_nobody_asked_for_is_ignored() {
    let backend = Scripted::saying("lane", &["1"]);
    let rig = Rig::of(&backend);
    let mut talk = rig.local();
    talk.send(r#"{"type":"auth","key":"k"}"#).await;
    talk.send(&ask("a")).await;
    assert!(is_done(&talk.frames(1).await[1], "a", "1"));
}

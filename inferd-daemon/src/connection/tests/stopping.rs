//! The daemon drains, and then ends what is left.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_draining_daemon_finishes_what_is_open_refuses_what_comes_and_closes() {
    let (backend, mut called) = dictated();
    let rig = Rig::one_by_one(&backend);
    let mut talk = rig.local();
    talk.send(&ask("runs")).await;
    talk.send(&ask("waits")).await;
    let runs = called.next().await;
    rig.service.stop.drain();
    insta::assert_snapshot!(talk.ask(&ask("late")).await, @r#"{"type":"error","id":"late","code":"backend_unavailable","message":"draining"}"#);
    runs.send(token("1")).await.unwrap();
    runs.send(done(1)).await.unwrap();
    assert!(is_done(&talk.frames(1).await[1], "runs", "1"));
    called.next().await.send(done(0)).await.unwrap();
    assert!(is_done(&talk.frame().await, "waits", ""));
    talk.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_with_nothing_open_is_closed_at_once() {
    let backend = Scripted::saying("lane", &["1"]);
    let rig = Rig::of(&backend);
    let mut talk = rig.local();
    talk.ask(&ask("a")).await;
    let before = Instant::now();
    rig.service.stop.drain();
    talk.closed().await;
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_came_at_that_moment_is_told() {
    let backend = Scripted::saying("lane", &["1"]);
    let rig = Rig::of(&backend);
    let mut talk = rig.local();
    settled().await;
    talk.send(&ask("a")).await;
    rig.service.stop.drain();
    assert!(is_error(&talk.frame().await, "a", ErrorCode::BackendUnavailable));
    talk.closed().await;
    assert_eq!(backend.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn past_the_patience_each_open_request_gets_its_terminal_frame() {
    let backend = Scripted::new("lane", |_, _| Turn::SayAndHang(vec![token("1")]));
    let rig = Rig::one_by_one(&backend);
    let mut talk = rig.local();
    talk.send(&ask("runs")).await;
    talk.send(&ask("waits")).await;
    talk.frame().await;
    rig.service.stop.drain();
    settled().await;
    rig.service.stop.end();
    let mut ended = [talk.lines().await, talk.lines().await];
    ended.sort();
    insta::assert_snapshot!(ended.join("\n"), @r#"
    {"type":"error","id":"runs","code":"backend_unavailable","message":"draining"}
    {"type":"error","id":"waits","code":"backend_unavailable","message":"draining"}
    "#);
    talk.closed().await;
    assert_eq!((rig.counts(), backend.alive()), ((0, 0), 0));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_behind_holds_the_end_up_for_no_more_than_a_moment() {
    let backend = Scripted::new("lane", |_, _| Turn::Endless("x".repeat(1000)));
    let rig = Rig::of(&backend);
    let mut talk = rig.connect::<true>(1024, "");
    talk.send(&ask("a")).await;
    settled().await;
    rig.service.stop.drain();
    rig.service.stop.end();
    let before = Instant::now();
    (&mut talk.served).await.unwrap();
    assert!(before.elapsed() <= LINGER, "{:?}", before.elapsed());
    assert_eq!((rig.counts(), backend.alive()), ((0, 0), 0));
}

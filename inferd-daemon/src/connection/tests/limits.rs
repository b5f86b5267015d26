//! What one connection may hold, and for how long.

use super::*;

#[tokio::test(start_paused = true)]
async fn past_the_limit_of_open_requests_one_is_refused_and_the_others_go_on() {
    let (backend, mut called) = dictated();
    let limits = ConnectionLimits { open_requests_max: 2, ..ConnectionLimits::default() };
    let rig = Rig::with(&backend, Admission::new(4, 16), limits);
    let mut talk = rig.local();
    talk.send(&ask("a")).await;
    talk.send(&ask("b")).await;
    let a = called.next().await;
    let _b = called.next().await;
    insta::assert_snapshot!(talk.ask(&ask("c")).await, @r#"{"type":"error","id":"c","code":"queue_full","message":"2 requests are open on this connection","retry_after_ms":50,"queue":{"running":2,"waiting":0,"capacity":16}}"#);
    a.send(done(0)).await.unwrap();
    assert!(is_done(&talk.frame().await, "a", ""));
    talk.send(&ask("c")).await;
    called.next().await.send(done(0)).await.unwrap();
    assert!(is_done(&talk.frame().await, "c", ""));
}

fn idle_after(idle_timeout: Duration) -> ConnectionLimits {
    ConnectionLimits { idle_timeout, ..ConnectionLimits::default() }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_and_an_answer_starts_its_time_anew() {
    let idle = Duration::from_secs(10);
    let backend = Scripted::saying("lane", &["1"]);
    let rig = Rig::with(&backend, Admission::new(4, 16), idle_after(idle));
    let mut talk = rig.local();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(9)).await;
        talk.ask(&ask("a")).await;
    }
    let quiet = Instant::now();
    talk.closed().await;
    assert_eq!(quiet.elapsed(), idle);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_not_idle_while_a_request_is_open_nor_as_soon_as_it_has_ended() {
    let idle = Duration::from_secs(10);
    let (backend, mut called) = dictated();
    let rig = Rig::with(&backend, Admission::new(4, 16), idle_after(idle));
    let mut talk = rig.local();
    talk.send(&ask("a")).await;
    let say = called.next().await;
    tokio::time::sleep(Duration::from_secs(39)).await;
    say.send(done(0)).await.unwrap();
    assert!(is_done(&talk.frame().await, "a", ""));
    let quiet = Instant::now();
    talk.closed().await;
    assert!(quiet.elapsed() >= idle, "closed {:?} after its answer", quiet.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_request_wherever_it_is() {
    let (backend, mut called) = dictated();
    let rig = Rig::one_by_one(&backend);
    let mut talk = rig.local();
    let before = Instant::now();
    talk.send(&ask_with("running", r#","deadline_ms":500"#)).await;
    let say = called.next().await;
    say.send(token("1")).await.unwrap();
    assert!(is_token(&talk.frame().await, "running", "1"));
    insta::assert_snapshot!(talk.ask(&ask_with("waiting", r#","deadline_ms":300"#)).await, @r#"{"type":"error","id":"waiting","code":"deadline_exceeded","message":"deadline_ms of 300 ms passed"}"#);
    assert_eq!(before.elapsed(), Duration::from_millis(300));
    insta::assert_snapshot!(talk.lines().await, @r#"{"type":"error","id":"running","code":"deadline_exceeded","message":"deadline_ms of 500 ms passed"}"#);
    assert_eq!(before.elapsed(), Duration::from_millis(500));
    backend.let_go().await;
    assert_eq!(rig.counts(), (0, 0));
    assert_eq!(rig.service.router.state()[0].state, "passing");
}

#[tokio::test(start_paused = true)]
async fn the_longest_wait_ends_a_request_only_while_it_waits() {
    let (backend, mut called) = dictated();
    let rig = Rig::one_by_one(&backend);
    let mut talk = rig.local();
    talk.send(&ask_with("runs", r#","max_wait_ms":300"#)).await;
    let say = called.next().await;
    insta::assert_snapshot!(talk.ask(&ask_with("waits", r#","max_wait_ms":300"#)).await, @r#"{"type":"error","id":"waits","code":"deadline_exceeded","message":"max_wait_ms of 300 ms passed"}"#);
    assert_eq!(rig.counts(), (1, 0));
    tokio::time::sleep(Duration::from_secs(5)).await;
    say.send(done(0)).await.unwrap();
    assert!(is_done(&talk.frame().await, "runs", ""));
    // A slot is held for five seconds, it seems now.
    talk.send(&ask("next")).await;
    let _next = called.next().await;
    insta::assert_snapshot!(talk.ask(&ask_with("hasty", r#","max_wait_ms":4000"#)).await, @r#"{"type":"error","id":"hasty","code":"deadline_exceeded","message":"cannot start in time: about 5300 ms of waiting"}"#);
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_an_age_is_no_limit() {
    let rig = Rig::of(&Scripted::saying("lane", &["1"]));
    let mut talk = rig.local();
    talk.send(&ask_with("a", &format!(r#","deadline_ms":{0},"max_wait_ms":{0}"#, u64::MAX))).await;
    assert!(is_done(&talk.frames(1).await[1], "a", "1"));
}

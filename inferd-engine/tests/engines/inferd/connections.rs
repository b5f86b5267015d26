//! When connections are used again, replaced and closed.

use futures_util::StreamExt;
use inferd_engine::testing::contract::rest;
use tokio::time::timeout;

use super::*;

fn answer() -> Answer {
    says(vec![token("a"), done("a")])
}

fn then_hangs_up() -> Answer {
    says_and(vec![token("a"), done("a")], Reply::then_hang_up)
}

async fn ask(engine: &Inferd) -> Vec<TokenEvent> {
    answered(engine, question(true)).await
}

fn whole() -> [TokenEvent; 2] {
    [said("a"), ended(StopReason::End)]
}

/// The connection of each line that is neither key nor hello.
fn connections(upstream: &Upstream) -> Vec<usize> {
    let requests = upstream.requests().into_iter();
    requests.filter(|line| line.method == "request").map(|line| line.connection).collect()
}

#[tokio::test]
async fn a_connection_is_used_again_whatever_was_answered_and_greeted_once() {
    let script =
        [answer(), says(vec![error("invalid_request")]), answer(), says(vec![token("a"), error("internal")])];
    let upstream = daemon(script.into_iter().chain([answer()])).await;
    let engine = engine(&upstream);
    for turn in 0..5 {
        match engine.generate(question(true)).await {
            Ok(stream) if turn == 3 => assert_eq!(rest(stream).await.len(), 2),
            Ok(stream) => assert_eq!(rest(stream).await, whole()),
            Err(error) => assert_eq!(turn, 1, "{error}"),
        }
    }
    assert_eq!(connections(&upstream), [0; 5]);
    let greetings = upstream.requests().iter().filter(|line| line.method == "hello").count();
    assert_eq!(greetings, 1);
}

#[tokio::test]
async fn a_stream_dropped_after_done_leaves_its_connection_for_the_next() {
    let upstream = daemon([answer()]).await;
    let engine = engine(&upstream);
    for _ in 0..3 {
        let mut stream = engine.generate(question(true)).await.expect("an answer begins");
        while !matches!(stream.next().await, Some(TokenEvent::Done { .. })) {}
    }
    assert_eq!(connections(&upstream), [0; 3]);
}

#[tokio::test]
async fn requests_at_once_have_a_connection_each() {
    let upstream = daemon([answer()]).await;
    let engine = engine(&upstream);
    let (one, two) = tokio::join!(ask(&engine), ask(&engine));
    assert_eq!((one, two), (whole().to_vec(), whole().to_vec()));
    assert_eq!(upstream.counts().accepted, 2);
}

#[tokio::test]
async fn a_connection_that_the_daemon_closed_while_idle_is_replaced() {
    let upstream = daemon([then_hangs_up(), answer()]).await;
    let engine = engine(&upstream);
    assert_eq!(ask(&engine).await, whole());
    timeout(PATIENCE, upstream.all_closed()).await.expect("the daemon hangs up");
    assert_eq!(ask(&engine).await, whole());
    assert_eq!(connections(&upstream), [0, 1]);
}

#[tokio::test]
async fn a_request_lost_with_an_idle_connection_is_sent_once_more() {
    for lost in [Reply::end as fn(Reply) -> Reply, Reply::reset] {
        let upstream = daemon([answer(), says_and(vec![], lost), answer()]).await;
        let engine = engine(&upstream);
        assert_eq!(ask(&engine).await, whole());
        assert_eq!(ask(&engine).await, whole());
        assert_eq!(connections(&upstream), [0, 0, 1]);
        let requests = upstream.requests();
        let bodies: Vec<_> =
            requests.iter().filter(|line| line.method == "request").map(|line| &line.body).collect();
        assert_eq!(bodies[1], bodies[2]);
    }
}

#[tokio::test]
async fn a_request_that_was_heard_is_not_sent_again() {
    for frame in [json!({"type": "status", "status": "queued"}), json!({"type": "later"})] {
        let upstream = daemon([answer(), says_and(vec![frame], Reply::end), answer()]).await;
        let engine = engine(&upstream);
        assert_eq!(ask(&engine).await, whole());
        assert!(engine.generate(question(true)).await.is_err());
        assert_eq!(connections(&upstream), [0, 0]);
    }
}

#[tokio::test]
async fn leaving_at_any_stage_closes_the_connection() {
    let waits = || json!({"type": "status", "status": "queued", "position": 1});
    for frames in [vec![], vec![waits()], vec![token("a")]] {
        let upstream = daemon([says_and(frames, Reply::hang)]).await;
        let engine = engine(&upstream);
        tokio::select! {
            events = ask(&engine) => panic!("it ended: {events:?}"),
            () = upstream.until(|counts| counts.requests == 1) => {}
        }
        timeout(Duration::from_millis(50), upstream.all_closed()).await.expect("it is closed at once");
    }
}

#[tokio::test]
async fn stopping_closes_what_is_idle() {
    let upstream = daemon([answer()]).await;
    let engine = engine(&upstream);
    assert_eq!(ask(&engine).await, whole());
    assert_eq!(upstream.counts().open, 1);
    engine.stop(PATIENCE).await.expect("nothing to wait for");
    timeout(PATIENCE, upstream.all_closed()).await.expect("it is closed");
}

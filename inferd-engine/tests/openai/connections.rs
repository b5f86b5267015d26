//! When connections are used again, replaced and closed.

use std::sync::Arc;

use futures_util::StreamExt;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::*;

fn answer() -> Reply {
    Reply::events([&says("a"), &finish("stop"), "[DONE]"])
}

async fn ask(engine: &OpenAi) -> Vec<TokenEvent> {
    rest(engine.generate(question(true)).await.expect("an answer begins")).await
}

fn whole() -> [TokenEvent; 2] {
    [token("a"), done(StopReason::End, 0, 1)]
}

/// Each request's connection.
fn connections(upstream: &Upstream) -> Vec<usize> {
    upstream.requests().iter().map(|request| request.connection).collect()
}

#[tokio::test]
async fn a_connection_is_used_again_whatever_was_answered() {
    let refusal = Reply::json(400, &json!({"error": "no"}));
    let empty = Reply::status(500).with_length();
    let upstream =
        Upstream::start([answer(), answer(), refusal, empty, answer().in_writes_of(1 << 20)]).await;
    let engine = engine(&upstream);
    for turn in 1..=6 {
        match engine.generate(question(true)).await {
            Ok(stream) => assert_eq!(rest(stream).await, whole()),
            Err(error) => assert!(matches!(turn, 3 | 4), "{error}"),
        }
        upstream.until(|counts| counts.sent == turn).await;
    }
    assert_eq!(connections(&upstream), [0; 6]);
}

#[tokio::test]
async fn a_stream_dropped_after_done_leaves_its_connection_for_the_next() {
    let upstream = Upstream::start([answer()]).await;
    let engine = engine(&upstream);
    for turn in 1..=3 {
        let mut stream = engine.generate(question(true)).await.expect("an answer begins");
        while !matches!(stream.next().await, Some(TokenEvent::Done { .. })) {}
        drop(stream);
        upstream.until(|counts| counts.sent == turn).await;
    }
    assert_eq!(connections(&upstream), [0; 3]);
}

#[tokio::test]
async fn an_end_that_is_late_keeps_nobody_waiting_and_its_connection_is_not_lost() {
    let late = Arc::new(Notify::new());
    let upstream = Upstream::start([answer().wait(&late), answer().then_hang_up(), answer()]).await;
    let engine = engine(&upstream);
    assert_eq!(ask(&engine).await, whole());
    assert_eq!(ask(&engine).await, whole());
    timeout(PATIENCE, upstream.until(|counts| counts.open == 1)).await.expect("the second one is closed");
    late.notify_one();
    timeout(PATIENCE, upstream.until(|counts| counts.sent == 2)).await.expect("the first one is still open");
    assert_eq!(ask(&engine).await, whole());
    assert_eq!(connections(&upstream), [0, 1, 0]);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_while_idle_is_replaced() {
    let upstream = Upstream::start([answer().then_hang_up(), answer()]).await;
    let engine = engine(&upstream);
    assert_eq!(ask(&engine).await, whole());
    timeout(PATIENCE, upstream.all_closed()).await.expect("the server hangs up");
    assert_eq!(ask(&engine).await, whole());
    assert_eq!(connections(&upstream), [0, 1]);
}

#[tokio::test]
async fn a_request_lost_with_an_idle_connection_is_sent_once_more() {
    for lost in [Reply::raw(), Reply::raw().reset()] {
        let upstream = Upstream::start([answer(), lost, answer()]).await;
        let engine = engine(&upstream);
        assert_eq!(ask(&engine).await, whole());
        upstream.until(|counts| counts.sent == 1).await;
        assert_eq!(ask(&engine).await, whole());
        assert_eq!(connections(&upstream), [0, 0, 1]);
        let requests = upstream.requests();
        assert_eq!(requests[1].body, requests[2].body);
    }
}

#[tokio::test]
async fn a_request_that_was_heard_or_never_had_a_chance_is_not_sent_again() {
    let upstream = Upstream::start([answer(), Reply::raw().text("HTTP/1.1 200"), answer()]).await;
    let engine_of_two = engine(&upstream);
    assert_eq!(ask(&engine_of_two).await, whole());
    upstream.until(|counts| counts.sent == 1).await;
    assert!(engine_of_two.generate(question(true)).await.is_err());
    assert_eq!(connections(&upstream), [0, 0], "the server had begun to answer");

    let upstream = Upstream::start([Reply::raw(), answer()]).await;
    assert!(engine(&upstream).generate(question(true)).await.is_err());
    assert_eq!(connections(&upstream), [0], "the connection was new");
}

#[tokio::test]
async fn a_server_that_says_close_is_believed() {
    let upstream = Upstream::start([answer().until_close(), answer()]).await;
    let engine = engine(&upstream);
    assert_eq!(ask(&engine).await, whole());
    assert_eq!(ask(&engine).await, whole());
    assert_eq!(connections(&upstream), [0, 1]);
}

#[tokio::test]
async fn a_connection_that_says_more_than_it_was_asked_is_not_used_again() {
    let body = json!({"error": "no"}).to_string();
    let refusal =
        || Reply::status(400).header("content-length", &body.len().to_string()).text(&body).framed();
    let unasked = "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n";
    for talkative in [refusal().text(unasked), refusal().text(unasked).in_writes_of(1 << 20)] {
        let upstream = Upstream::start([talkative, answer()]).await;
        let engine = engine(&upstream);
        assert_eq!(
            engine.generate(question(true)).await.err(),
            Some(GenerateError::InvalidRequest("no".into()))
        );
        upstream.until(|counts| counts.sent == 1).await;
        assert_eq!(ask(&engine).await, whole());
        assert_eq!(connections(&upstream), [0, 1]);
    }
}

#[tokio::test]
async fn leaving_at_any_stage_closes_the_connection() {
    let stages =
        [Reply::raw().hang(), Reply::status(400).text("be").hang(), Reply::events([says("a")]).hang()];
    for reply in stages {
        let upstream = Upstream::start([reply]).await;
        let engine = engine(&upstream);
        let asking = async {
            let stream = engine.generate(question(true)).await.expect("an answer begins");
            rest(stream).await
        };
        tokio::select! {
            events = asking => panic!("it ended: {events:?}"),
            () = upstream.until(|counts| counts.requests == 1) => {}
        }
        timeout(Duration::from_millis(50), upstream.all_closed()).await.expect("it is closed at once");
    }
}

#[tokio::test]
async fn stopping_closes_what_is_idle() {
    let upstream = Upstream::start([answer()]).await;
    let engine = engine(&upstream);
    assert_eq!(ask(&engine).await, whole());
    assert_eq!(upstream.counts().open, 1);
    engine.stop(PATIENCE).await.expect("nothing to wait for");
    timeout(PATIENCE, upstream.all_closed()).await.expect("it is closed");
}

//! When connections are used again, replaced and closed.

use futures_util::StreamExt;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::*;

/// The next answer of `backend` is whole.
async fn ask(engine: &dyn Engine, backend: &dyn Backend) {
    assert_whole(engine, &answered(backend, question(true)).await);
}

/// Each request's connection.
fn connections(upstream: &Upstream) -> Vec<usize> {
    upstream.requests().iter().map(|request| request.connection).collect()
}

/// A backend, and the server behind it, that plays `script`.
async fn stage(engine: &dyn Engine, script: impl IntoIterator<Item = Reply>) -> (Arc<dyn Backend>, Upstream) {
    let upstream = Upstream::start(script).await;
    (engine.built(keyed(&upstream)), upstream)
}

#[tokio::test]
async fn a_connection_is_used_again_whatever_was_answered() {
    for engine in ENGINES {
        let answer = || answer(engine);
        let refusal = Reply::json(400, &engine.refuses("no"));
        let empty = Reply::status(500).with_length();
        let script = [answer(), answer(), refusal, empty, answer().in_writes_of(1 << 20)];
        let (backend, upstream) = stage(engine, script).await;
        for turn in 1..=6 {
            match outcome(&*backend, question(true)).await {
                Ok(events) => assert_whole(engine, &events),
                Err(error) => assert!(matches!(turn, 3 | 4), "{error}"),
            }
            upstream.until(|counts| counts.sent == turn).await;
        }
        assert_eq!(connections(&upstream), [0; 6], "{}", engine.name());
    }
}

#[tokio::test]
async fn a_stream_dropped_after_done_leaves_its_connection_for_the_next() {
    for engine in ENGINES {
        let (backend, upstream) = stage(engine, [answer(engine)]).await;
        for turn in 1..=3 {
            let mut stream = backend.generate(question(true)).await.expect("an answer begins");
            while !matches!(stream.next().await, Some(TokenEvent::Done { .. })) {}
            drop(stream);
            upstream.until(|counts| counts.sent == turn).await;
        }
        assert_eq!(connections(&upstream), [0; 3], "{}", engine.name());
    }
}

#[tokio::test]
async fn an_end_that_is_late_keeps_nobody_waiting_and_its_connection_is_not_lost() {
    for engine in ENGINES {
        let (late, answer) = (Arc::new(Notify::new()), || answer(engine));
        let (backend, upstream) =
            stage(engine, [answer().wait(&late), answer().then_hang_up(), answer()]).await;
        ask(engine, &*backend).await;
        ask(engine, &*backend).await;
        let closed = upstream.until(|counts| counts.open == 1);
        timeout(PATIENCE, closed).await.expect("the second one is closed");
        late.notify_one();
        let sent = upstream.until(|counts| counts.sent == 2);
        timeout(PATIENCE, sent).await.expect("the first one is still open");
        ask(engine, &*backend).await;
        assert_eq!(connections(&upstream), [0, 1, 0], "{}", engine.name());
    }
}

#[tokio::test]
async fn a_connection_that_the_server_closed_while_idle_is_replaced() {
    for engine in ENGINES {
        let (backend, upstream) = stage(engine, [answer(engine).then_hang_up(), answer(engine)]).await;
        ask(engine, &*backend).await;
        timeout(PATIENCE, upstream.all_closed()).await.expect("the server hangs up");
        ask(engine, &*backend).await;
        assert_eq!(connections(&upstream), [0, 1], "{}", engine.name());
    }
}

#[tokio::test]
async fn a_request_lost_with_an_idle_connection_is_sent_once_more() {
    for engine in ENGINES {
        for lost in [Reply::raw(), Reply::raw().reset()] {
            let (backend, upstream) = stage(engine, [answer(engine), lost, answer(engine)]).await;
            ask(engine, &*backend).await;
            upstream.until(|counts| counts.sent == 1).await;
            ask(engine, &*backend).await;
            assert_eq!(connections(&upstream), [0, 0, 1], "{}", engine.name());
            let requests = upstream.requests();
            assert_eq!(requests[1].body, requests[2].body);
        }
    }
}

#[tokio::test]
async fn a_request_that_was_heard_or_never_had_a_chance_is_not_sent_again() {
    for engine in ENGINES {
        let heard = Reply::raw().text("HTTP/1.1 200");
        let (backend, upstream) = stage(engine, [answer(engine), heard, answer(engine)]).await;
        ask(engine, &*backend).await;
        upstream.until(|counts| counts.sent == 1).await;
        assert!(backend.generate(question(true)).await.is_err());
        assert_eq!(connections(&upstream), [0, 0], "the server had begun to answer");

        let (backend, upstream) = stage(engine, [Reply::raw(), answer(engine)]).await;
        assert!(backend.generate(question(true)).await.is_err());
        assert_eq!(connections(&upstream), [0], "the connection was new");
    }
}

#[tokio::test]
async fn a_server_that_says_close_is_believed() {
    for engine in ENGINES {
        let (backend, upstream) = stage(engine, [answer(engine).until_close(), answer(engine)]).await;
        ask(engine, &*backend).await;
        ask(engine, &*backend).await;
        assert_eq!(connections(&upstream), [0, 1], "{}", engine.name());
    }
}

#[tokio::test]
async fn a_connection_that_says_more_than_it_was_asked_is_not_used_again() {
    let unasked = "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n";
    for engine in ENGINES {
        let body = engine.refuses("no").to_string();
        let refusal =
            Reply::status(400).header("content-length", &body.len().to_string()).text(&body).framed();
        for talkative in [refusal.clone().text(unasked), refusal.text(unasked).in_writes_of(1 << 20)] {
            let (backend, upstream) = stage(engine, [talkative, answer(engine)]).await;
            let error = backend.generate(question(true)).await.err();
            assert_eq!(error, Some(GenerateError::InvalidRequest("no".into())), "{}", engine.name());
            upstream.until(|counts| counts.sent == 1).await;
            ask(engine, &*backend).await;
            assert_eq!(connections(&upstream), [0, 1], "{}", engine.name());
        }
    }
}

#[tokio::test]
async fn leaving_at_any_stage_closes_the_connection() {
    for engine in ENGINES {
        for reply in [Reply::raw().hang(), Reply::status(400).text("be").hang(), begun(engine).hang()] {
            let (backend, upstream) = stage(engine, [reply]).await;
            tokio::select! {
                events = answered(&*backend, question(true)) => panic!("it ended: {events:?}"),
                () = upstream.until(|counts| counts.requests == 1) => {}
            }
            timeout(Duration::from_millis(50), upstream.all_closed()).await.expect("it is closed at once");
        }
    }
}

#[tokio::test]
async fn stopping_closes_what_is_idle() {
    for engine in ENGINES {
        let (backend, upstream) = stage(engine, [answer(engine)]).await;
        ask(engine, &*backend).await;
        assert_eq!(upstream.counts().open, 1);
        backend.stop(PATIENCE).await.expect("nothing to wait for");
        timeout(PATIENCE, upstream.all_closed()).await.expect("it is closed");
    }
}

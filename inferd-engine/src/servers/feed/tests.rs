use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::poll_fn;

use super::*;
use crate::servers::AgentResult;

fn token(text: &str) -> AgentEvent {
    AgentEvent::Token(text.to_owned())
}

async fn next(feed: &Feed) -> Option<AgentEvent> {
    poll_fn(|cx| feed.poll_next(cx)).await
}

#[tokio::test]
async fn who_comes_late_reads_everything_with_text_put_together() {
    let feed = Feed::new(2);
    feed.send(AgentEvent::Step { step: 1 }).await;
    for piece in ["a", "b", "c"] {
        feed.send(token(piece)).await;
        feed.send(AgentEvent::Thinking(piece.to_owned())).await;
    }
    feed.send(AgentEvent::Step { step: 2 }).await;
    feed.send(token("d")).await;
    assert!(feed.attach());
    for expected in [
        AgentEvent::Step { step: 1 },
        token("abc"),
        AgentEvent::Thinking("abc".to_owned()),
        AgentEvent::Step { step: 2 },
        token("d"),
    ] {
        assert_eq!(next(&feed).await, Some(expected));
    }
    assert!(next(&feed).now_or_never().is_none());
}

#[tokio::test]
async fn a_full_feed_makes_the_sender_wait_and_an_emptied_one_lets_it_go_on() {
    let feed = Arc::new(Feed::new(1));
    assert!(feed.attach());
    assert!(!feed.attach(), "there is one reader");
    feed.send(token("a")).await;
    let mut second = Box::pin(feed.send(token("b")));
    assert!(second.as_mut().now_or_never().is_none());
    assert_eq!(next(&feed).await, Some(token("a")));
    second.await;
    feed.offer(token("news"));
    feed.end(AgentEvent::Ended(AgentResult::Cancelled));
    assert_eq!(next(&feed).await, Some(token("b")));
    assert_eq!(next(&feed).await, Some(AgentEvent::Ended(AgentResult::Cancelled)));
    assert_eq!(next(&feed).await, None);
}

#[tokio::test]
async fn a_reader_that_leaves_holds_nobody_up_and_nothing_is_kept_for_it() {
    let feed = Feed::new(1);
    feed.attach();
    feed.send(token("a")).await;
    let waiting = feed.send(token("b"));
    let mut waiting = Box::pin(waiting);
    assert!(waiting.as_mut().now_or_never().is_none());
    feed.detach();
    waiting.await;
    feed.send(token("c")).await;
    assert!(feed.lock().events.is_empty());
}

#[tokio::test]
async fn news_is_kept_for_nobody_but_a_reader() {
    let feed = Feed::new(1);
    feed.offer(token("early"));
    feed.attach();
    feed.offer(token("heard"));
    feed.offer(token("too much"));
    assert_eq!(next(&feed).await, Some(token("heard")));
    assert!(next(&feed).now_or_never().is_none());
}

//! A session, as those see it who wait for it.
//!
//! Invariants:
//! - It is cancelled when its last handle is dropped. A reader of its events is a handle.
//! - It has one result; whoever asks gets it, before and after.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::event::AgentEvent;
use super::feed::Feed;
use super::id::ThreadKey;
use super::result::AgentResult;

/// See the module. Clones are handles to one.
#[derive(Clone)]
pub struct AgentSession(pub(super) Arc<Handle>);

/// Held by those who wait, and not by the session itself.
pub(super) struct Handle(Arc<Shared>);

/// What a session and its handles share.
pub(super) struct Shared {
    pub(super) thread_key: ThreadKey,
    pub(super) cancel: CancellationToken,
    pub(super) feed: Feed,
    result: watch::Sender<Option<AgentResult>>,
}

impl Shared {
    pub(super) fn new(thread_key: ThreadKey, cancel: CancellationToken, events_max: usize) -> Self {
        Self { thread_key, cancel, feed: Feed::new(events_max), result: watch::Sender::new(None) }
    }

    async fn ended(&self) -> AgentResult {
        let mut result = self.result.subscribe();
        let result = result.wait_for(Option::is_some).await.expect("the sender is our own");
        result.clone().expect("it was waited for")
    }

    /// Says what the session came to. Once.
    pub(super) fn end(&self, result: AgentResult) {
        self.result.send_replace(Some(result.clone()));
        self.feed.end(AgentEvent::Ended(result));
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.cancel.cancel();
    }
}

impl AgentSession {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(Arc::new(Handle(shared)))
    }

    /// The conversation it is a part of.
    #[must_use]
    pub fn thread_key(&self) -> &ThreadKey {
        &self.shared().thread_key
    }

    /// Its events, from the first, whenever this is called. `None` where they have, or had, a reader.
    #[must_use]
    pub fn events(&self) -> Option<AgentEvents> {
        self.shared().feed.attach().then(|| AgentEvents(self.clone()))
    }

    /// What it comes to. Waits until it has ended; may be called by many, and more than once.
    pub async fn result(&self) -> AgentResult {
        self.shared().ended().await
    }

    /// What it came to, if it has ended.
    #[must_use]
    pub fn ended(&self) -> Option<AgentResult> {
        self.shared().result.borrow().clone()
    }

    /// Ends it: what it generates and the tools it runs are dropped. Without effect on one that has ended.
    pub fn cancel(&self) {
        self.shared().cancel.cancel();
    }

    fn shared(&self) -> &Shared {
        &self.0.0
    }
}

impl fmt::Debug for AgentSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_over = self.shared().result.borrow().is_some();
        f.debug_struct("AgentSession").field("thread_key", self.thread_key()).field("over", &is_over).finish()
    }
}

/// The events of a session, in order, the last of them [`AgentEvent::Ended`]. A session whose reader is behind waits
/// for it. Dropped, it leaves a session that has other handles running unread.
#[derive(Debug)]
pub struct AgentEvents(AgentSession);

impl AgentEvents {
    /// The next event; `None` after the last. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<AgentEvent> {
        poll_fn(|cx| self.0.shared().feed.poll_next(cx)).await
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> &AgentSession {
        &self.0
    }
}

impl Stream for AgentEvents {
    type Item = AgentEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<AgentEvent>> {
        self.0.shared().feed.poll_next(cx)
    }
}

impl Drop for AgentEvents {
    fn drop(&mut self) {
        self.0.shared().feed.detach();
    }
}

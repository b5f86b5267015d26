//! Carries a session's events to its one reader.
//!
//! Invariants:
//! - No more than `max` events wait for a reader; whoever has another one waits then.
//! - Until a reader comes, all events are kept, pieces of text put together: no more than the transcript holds. Once the
//!   reader has gone, none are.
//! - The end is always passed on, after everything before it, and waits for nobody.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

use super::event::AgentEvent;

/// See the module.
pub(super) struct Feed {
    state: Mutex<State>,
    /// Woken when there is something to read.
    reader: AtomicWaker,
    /// Notified when there is room, or nobody reads any more.
    emptied: Notify,
    max: usize,
}

#[derive(Default)]
struct State {
    events: VecDeque<AgentEvent>,
    reader: Reader,
    /// The end was put in.
    over: bool,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Reader {
    #[default]
    Expected,
    Here,
    Gone,
}

impl Feed {
    pub(super) fn new(max: usize) -> Self {
        let (reader, emptied) = (AtomicWaker::new(), Notify::new());
        Self { state: Mutex::default(), reader, emptied, max: max.max(1) }
    }

    /// Passes an event on, as soon as the reader has room for it.
    pub(super) async fn send(&self, mut event: AgentEvent) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            // Before the look, so that what is emptied after it is not missed.
            emptied.as_mut().enable();
            match self.try_put(event) {
                Ok(()) => return,
                Err(refused) => event = refused,
            }
            emptied.await;
        }
    }

    /// Passes an event on if somebody reads who has room for it, else it is lost.
    pub(super) fn offer(&self, event: AgentEvent) {
        if self.lock().reader == Reader::Here {
            // What does not fit is news that is old by the time it would.
            drop(self.try_put(event));
        }
    }

    /// Passes the last event on.
    pub(super) fn end(&self, event: AgentEvent) {
        let mut state = self.lock();
        state.put(event);
        state.over = true;
        drop(state);
        self.reader.wake();
    }

    /// Whether the caller is the reader from now on.
    pub(super) fn attach(&self) -> bool {
        let mut state = self.lock();
        let is_first = state.reader == Reader::Expected;
        if is_first {
            state.reader = Reader::Here;
        }
        is_first
    }

    /// The reader goes.
    pub(super) fn detach(&self) {
        let mut state = self.lock();
        state.reader = Reader::Gone;
        let unread = std::mem::take(&mut state.events);
        drop(state);
        drop(unread);
        self.emptied.notify_waiters();
    }

    /// The next event; `None` once the last was taken.
    pub(super) fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<AgentEvent>> {
        // Before the look, as in `send`.
        self.reader.register(cx.waker());
        let mut state = self.lock();
        match state.events.pop_front() {
            Some(event) => {
                drop(state);
                self.emptied.notify_waiters();
                Poll::Ready(Some(event))
            }
            None if state.over => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    fn try_put(&self, event: AgentEvent) -> Result<(), AgentEvent> {
        let mut state = self.lock();
        if state.reader == Reader::Here && state.events.len() >= self.max {
            return Err(event);
        }
        state.put(event);
        drop(state);
        self.reader.wake();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put(&mut self, event: AgentEvent) {
        match self.reader {
            Reader::Here => self.events.push_back(event),
            Reader::Expected => self.join(event),
            Reader::Gone => {}
        }
    }

    /// Adds an event while nobody reads: text to the text of the same turn, reasoning to its reasoning.
    fn join(&mut self, event: AgentEvent) {
        let mut of_turn = self.events.iter_mut().rev().take_while(|event| is_text(event));
        let same = of_turn.find(|said| std::mem::discriminant(*said) == std::mem::discriminant(&event));
        match (same, event) {
            (
                Some(AgentEvent::Token(said) | AgentEvent::Thinking(said)),
                AgentEvent::Token(text) | AgentEvent::Thinking(text),
            ) => said.push_str(&text),
            (_, event) => self.events.push_back(event),
        }
    }
}

fn is_text(event: &AgentEvent) -> bool {
    matches!(event, AgentEvent::Token(_) | AgentEvent::Thinking(_))
}

#[cfg(test)]
mod tests;

//! One answer, from the request to its end, as the upstream remembers it.
//!
//! Invariants: every visit that is not open has ended exactly once; a [`Turn`] dropped before its end is one whose peer
//! left, or whose server went down.

use std::time::SystemTime;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Seen;

/// A request to generate, and what became of it.
#[derive(Debug, Clone)]
pub struct Visit {
    /// When the request had been read.
    pub began: SystemTime,
    /// How many tokens of the answer were sent one by one.
    pub tokens: usize,
    /// When and how the answer ended; `None`: it has not.
    pub ended: Option<(SystemTime, Ending)>,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As it was meant to; its last bytes had still to be written then.
    Played,
    /// The peer closed the connection.
    PeerLeft,
    /// The server went down.
    Down,
}

/// One answer that is open.
pub(super) struct Turn<'a> {
    seen: &'a watch::Sender<Seen>,
    /// Whether the server is up.
    life: &'a watch::Receiver<()>,
    number: usize,
}

impl<'a> Turn<'a> {
    pub(super) fn begin(seen: &'a watch::Sender<Seen>, life: &'a watch::Receiver<()>, body: &Value) -> Self {
        let mut number = 0;
        seen.send_modify(|seen| {
            number = seen.requests.len();
            seen.requests.push(body.clone());
            seen.visits.push(Visit { began: SystemTime::now(), tokens: 0, ended: None });
            seen.open += 1;
            seen.most_open = seen.most_open.max(seen.open);
        });
        Self { seen, life, number }
    }

    /// How many requests came before it.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// Notes a token that is about to be sent.
    pub(super) fn token(&self) {
        self.seen.send_modify(|seen| seen.visits[self.number].tokens += 1);
    }

    /// Ends it as it was meant to.
    pub(super) fn end(self) {
        self.over(Ending::Played);
        std::mem::forget(self);
    }

    fn over(&self, ending: Ending) {
        self.seen.send_modify(|seen| {
            seen.open -= 1;
            seen.visits[self.number].ended = Some((SystemTime::now(), ending));
            if ending == Ending::PeerLeft {
                seen.abandoned.push(Instant::now());
            }
        });
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let down = self.life.has_changed().is_err();
        self.over(if down { Ending::Down } else { Ending::PeerLeft });
    }
}

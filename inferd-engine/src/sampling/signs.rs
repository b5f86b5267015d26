//! Signs of life: how those who wait for a peer learn that it was asked, and that it is at work.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

/// Where a call's signs of life are told. One call may have several who wait for it.
#[derive(Debug, Clone, Default)]
pub struct Signs {
    heard: Vec<Arc<watch::Sender<Option<Instant>>>>,
}

/// When the last sign was given, if any was.
pub(super) type Heard = watch::Receiver<Option<Instant>>;

impl Signs {
    /// Signs, and where they are heard.
    pub(super) fn pair() -> (Self, Heard) {
        let (heard, receiver) = watch::channel(None);
        (Self { heard: vec![Arc::new(heard)] }, receiver)
    }

    /// Signs that are heard by whoever hears these, too.
    pub(super) fn and<'a>(mut self, others: impl IntoIterator<Item = &'a Self>) -> Self {
        self.heard.extend(others.into_iter().flat_map(|signs| signs.heard.iter().cloned()));
        self
    }

    /// The peer is asked now, or reports progress now: its time-out begins anew.
    pub fn alive(&self) {
        for heard in &self.heard {
            heard.send_replace(Some(Instant::now()));
        }
    }
}

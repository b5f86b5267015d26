//! How many connections there may be: a limit that can change while they are open.
//!
//! Invariants:
//! - A spot is given back when it is dropped, and nothing else gives it back.
//! - Where the limit falls below what is open nobody is sent away: nobody comes until enough have left.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Room for connections. Clones are the same room.
#[derive(Debug, Clone)]
pub(crate) struct Room(Arc<Spots>);

#[derive(Debug)]
struct Spots {
    max: AtomicUsize,
    open: AtomicUsize,
    /// Signalled when there may be a spot.
    changed: Notify,
    /// Signalled when the last spot is taken.
    filled: Notify,
}

/// One connection's part of the room.
#[derive(Debug)]
#[must_use]
pub(crate) struct Spot(Arc<Spots>);

impl Room {
    /// Room for `max` connections.
    pub(crate) fn new(max: usize) -> Self {
        Self(Arc::new(Spots {
            max: AtomicUsize::new(max),
            open: AtomicUsize::new(0),
            changed: Notify::new(),
            filled: Notify::new(),
        }))
    }

    /// Makes room for `max` from here on.
    pub(crate) fn resize(&self, max: usize) {
        self.0.max.store(max, Ordering::Release);
        self.0.changed.notify_waiters();
        if self.is_full() {
            self.0.filled.notify_waiters();
        }
    }

    /// Waits until there is a spot. Another may take it first.
    pub(crate) async fn free(&self) {
        loop {
            // From here on no spot is left unnoticed between the look and the wait.
            let changed = self.0.changed.notified();
            if !self.is_full() {
                return;
            }
            changed.await;
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.open.load(Ordering::Acquire) >= self.0.max.load(Ordering::Acquire)
    }

    /// Waits until there is no spot left.
    pub(crate) async fn full(&self) {
        loop {
            let filled = self.0.filled.notified();
            if self.is_full() {
                return;
            }
            filled.await;
        }
    }

    /// Takes a spot, once there is one.
    pub(crate) async fn take(&self) -> Spot {
        loop {
            self.free().await;
            let max = self.0.max.load(Ordering::Acquire);
            let taken = self
                .0
                .open
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |open| (open < max).then_some(open + 1));
            if taken.is_ok() {
                if self.is_full() {
                    self.0.filled.notify_waiters();
                }
                return Spot(Arc::clone(&self.0));
            }
        }
    }
}

impl Drop for Spot {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
        self.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn is_full(room: &Room) -> bool {
        timeout(Duration::from_secs(60), room.take()).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn a_spot_is_free_again_when_its_connection_has_gone() {
        let room = Room::new(1);
        let spot = room.take().await;
        assert!(is_full(&room).await);
        let (next, ()) = tokio::join!(room.take(), async { drop(spot) });
        assert!(is_full(&room).await);
        drop(next);
        assert!(!is_full(&room).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_room_that_grows_lets_in_who_waits_and_one_that_shrinks_sends_nobody_away() {
        let room = Room::new(1);
        let first = room.take().await;
        let (second, ()) = tokio::join!(room.take(), async { room.resize(2) });
        room.resize(1);
        drop(first);
        assert!(is_full(&room).await, "one of two has left, and there is room for one");
        drop(second);
        assert!(!is_full(&room).await);
    }
}

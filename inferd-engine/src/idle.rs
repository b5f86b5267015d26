//! Connections waiting for their next request.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The most idle connections one backend keeps.
const IDLE_MAX: usize = 32;
/// How long a connection may stay idle: servers hang up after about as long.
const IDLE_LIMIT: Duration = Duration::from_secs(90);

/// What can be kept for another request.
pub(crate) trait Kept {
    /// Whether another request may be sent through it, found out without waiting.
    fn fitness(&mut self) -> Fitness;
}

/// What a connection is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fitness {
    /// Another request.
    Free,
    /// Nothing yet: the answer before has not come to its end.
    Busy,
    /// Nothing any more.
    Dead,
}

/// The idle connections of one backend, the latest used at the back.
pub(crate) struct Idle<T>(Mutex<VecDeque<Waiting<T>>>);

struct Waiting<T> {
    kept: T,
    since: Instant,
}

impl<T> Default for Idle<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Kept> Idle<T> {
    /// Keeps a connection for another request.
    pub(crate) fn put(&self, kept: T) {
        let now = Instant::now();
        let mut idle = self.lock();
        idle.push_back(Waiting { kept, since: now });
        let stale = idle.iter().take_while(|waiting| now - waiting.since > IDLE_LIMIT).count();
        let dropped: Vec<Waiting<T>> = {
            let surplus = idle.len().saturating_sub(IDLE_MAX);
            idle.drain(..stale.max(surplus)).collect()
        };
        // Sockets are closed after the lock is released.
        drop(idle);
        drop(dropped);
    }

    /// A connection that is still good.
    pub(crate) fn take(&self) -> Option<T> {
        let now = Instant::now();
        let mut busy = Vec::new();
        let free = loop {
            let Some(mut waiting) = self.lock().pop_back() else { break None };
            if now.saturating_duration_since(waiting.since) > IDLE_LIMIT {
                continue;
            }
            match waiting.kept.fitness() {
                Fitness::Free => break Some(waiting.kept),
                Fitness::Busy => busy.push(waiting),
                Fitness::Dead => {}
            }
        };
        if !busy.is_empty() {
            self.lock().extend(busy.into_iter().rev());
        }
        free
    }

    /// Closes all of them.
    pub(crate) fn clear(&self) {
        let dropped = std::mem::take(&mut *self.lock());
        drop(dropped);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting<T>>> {
        // No code that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Alive as long as the other end of it is held.
    struct Line(Arc<()>, Fitness);

    impl Kept for Line {
        fn fitness(&mut self) -> Fitness {
            self.1
        }
    }

    fn kept(idle: &Idle<Line>, fitness: Fitness) -> Arc<()> {
        let end = Arc::new(());
        idle.put(Line(Arc::clone(&end), fitness));
        end
    }

    fn is_open(end: &Arc<()>) -> bool {
        Arc::strong_count(end) > 1
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_so_many_are_kept_and_none_for_longer_than_so_long() {
        let idle = Idle::default();
        let ends: Vec<_> = (0..=IDLE_MAX).map(|_| kept(&idle, Fitness::Free)).collect();
        assert!(!is_open(&ends[0]), "the oldest gives way");
        assert!(ends[1..].iter().all(is_open));
        tokio::time::advance(IDLE_LIMIT).await;
        let fresh = kept(&idle, Fitness::Free);
        tokio::time::advance(Duration::from_millis(1)).await;
        let next = kept(&idle, Fitness::Free);
        assert!(!ends.iter().any(is_open), "a new one finds the stale ones out");
        tokio::time::advance(IDLE_LIMIT).await;
        assert!(idle.take().is_some_and(|line| Arc::ptr_eq(&line.0, &next)));
        assert!(idle.take().is_none() && !is_open(&fresh));
    }

    #[tokio::test]
    async fn the_latest_that_is_free_is_taken_and_the_dead_are_closed() {
        let idle = Idle::default();
        let [free, dead, busy] = [Fitness::Free, Fitness::Dead, Fitness::Busy].map(|fit| kept(&idle, fit));
        assert!(idle.take().is_some_and(|line| Arc::ptr_eq(&line.0, &free)));
        assert_eq!([&dead, &busy].map(is_open), [false, true]);
        idle.clear();
        assert!(!is_open(&busy));
    }
}

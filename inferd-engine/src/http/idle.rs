//! Connections waiting for their next request.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use tokio::time::Instant;

use super::link::{Fitness, Link};

/// The most idle connections one backend keeps.
const IDLE_MAX: usize = 32;
/// How long a connection may stay idle: servers hang up after about as long.
const IDLE_LIMIT: Duration = Duration::from_secs(90);

/// The idle connections of one backend, the latest used at the back.
#[derive(Default)]
pub(super) struct Idle(Mutex<VecDeque<Waiting>>);

struct Waiting {
    link: Link,
    /// What was not read of the last answer, because nothing in it mattered any more.
    rest: Option<Incoming>,
    since: Instant,
}

impl Idle {
    /// Keeps `link` for another request.
    pub(super) fn put(&self, link: Link, rest: Option<Incoming>) {
        let now = Instant::now();
        let mut idle = self.lock();
        idle.push_back(Waiting { link, rest, since: now });
        let stale = idle.iter().take_while(|waiting| now - waiting.since > IDLE_LIMIT).count();
        let dropped: Vec<Waiting> = {
            let surplus = idle.len().saturating_sub(IDLE_MAX);
            idle.drain(..stale.max(surplus)).collect()
        };
        // Sockets are closed after the lock is released.
        drop(idle);
        drop(dropped);
    }

    /// A connection that is still good.
    pub(super) fn take(&self) -> Option<Link> {
        let now = Instant::now();
        let mut busy = Vec::new();
        let free = loop {
            let Some(mut waiting) = self.lock().pop_back() else { break None };
            if now.saturating_duration_since(waiting.since) > IDLE_LIMIT {
                continue;
            }
            match waiting.link.fitness(&mut waiting.rest) {
                Fitness::Free => break Some(waiting.link),
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
    pub(super) fn clear(&self) {
        let dropped = std::mem::take(&mut *self.lock());
        drop(dropped);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        // No code that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

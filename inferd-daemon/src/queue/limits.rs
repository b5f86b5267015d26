//! How much may run and wait, and its change while requests do.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// How much may run, and how much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests running at once; 0 counts as 1.
    pub active: usize,
    /// Requests waiting at once.
    pub queue_depth: usize,
    /// Places one client keeps when the queue is full and another arrives.
    pub per_client_queue: usize,
    /// Time after which a waiting request rises one band.
    pub ageing: Duration,
}

impl Limits {
    /// These limits with the default share of a client (half the depth, at least 1) and ageing (30 s).
    #[must_use]
    pub fn new(active: usize, queue_depth: usize) -> Self {
        Self {
            active,
            queue_depth,
            per_client_queue: (queue_depth / 2).max(1),
            ageing: Duration::from_secs(30),
        }
    }
}

/// The limits in force: each is read without a lock, and what is read may be about to change.
#[derive(Debug)]
pub(super) struct InForce {
    active: AtomicUsize,
    queue_depth: AtomicUsize,
    per_client_queue: AtomicUsize,
    ageing_ns: AtomicU64,
}

impl InForce {
    pub(super) fn new(limits: Limits) -> Self {
        let nothing = || AtomicUsize::new(0);
        let this = Self {
            active: nothing(),
            queue_depth: nothing(),
            per_client_queue: nothing(),
            ageing_ns: AtomicU64::new(0),
        };
        this.set(limits);
        this
    }

    /// Counts past `u32::MAX` count as that.
    pub(super) fn set(&self, limits: Limits) {
        let within = |count: usize| count.min(u32::MAX as usize);
        self.active.store(within(limits.active.max(1)), Ordering::Relaxed);
        self.queue_depth.store(within(limits.queue_depth), Ordering::Relaxed);
        self.per_client_queue.store(limits.per_client_queue, Ordering::Relaxed);
        let ageing_ns = u64::try_from(limits.ageing.as_nanos()).unwrap_or(u64::MAX);
        self.ageing_ns.store(ageing_ns, Ordering::Relaxed);
    }

    pub(super) fn all(&self) -> Limits {
        Limits {
            active: self.active(),
            queue_depth: self.queue_depth(),
            per_client_queue: self.per_client_queue(),
            ageing: self.ageing(),
        }
    }

    pub(super) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    pub(super) fn queue_depth(&self) -> usize {
        self.queue_depth.load(Ordering::Relaxed)
    }

    pub(super) fn per_client_queue(&self) -> usize {
        self.per_client_queue.load(Ordering::Relaxed)
    }

    pub(super) fn ageing(&self) -> Duration {
        Duration::from_nanos(self.ageing_ns.load(Ordering::Relaxed))
    }
}

//! Admission: the one gate in front of every engine.
//!
//! A request enters and is refused, given a [`Permit`], or given a [`Place`] to wait in; a freed permit goes to
//! whoever `fair::FairQueue` says is next. Which engine runs it, and what it is, are not known here.
//!
//! Invariants:
//! - Never more than `active` permits out, never more than `queue_depth` places held.
//! - Permits and places free themselves when dropped; nothing else frees them, so nothing can leak one.
//! - While somebody waits, no newcomer runs first except by the queue's own order.

mod account;
mod estimate;
mod fair;
mod place;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use inferd_proto::{Priority, QueueState, Resolved};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use account::{Account, Accounts};
pub use account::{Client, ClientKey};
use estimate::ServiceTime;
use fair::FairQueue;
pub use place::{Permit, Place};
use place::{Slot, Waiting};

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

/// Why a request does not get in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Every slot and every place is taken.
    #[error("queue is full")]
    QueueFull {
        /// When a place is likely to be free.
        retry_after: Duration,
        /// How full it is.
        queue: QueueState,
    },
    /// Its turn would come, or did not come, too late.
    #[error("cannot start in time: about {wait_ms} ms of waiting")]
    TooLate {
        /// The wait expected or had, in milliseconds.
        wait_ms: u64,
    },
}

/// The gate. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Admission(Arc<Gate>);

#[derive(Debug)]
struct Gate {
    limits: Limits,
    /// Running in the upper half, waiting in the lower: one word, so that the uncontended path is one exchange.
    counts: AtomicU64,
    queue: Mutex<Contended>,
    /// Signalled whenever the queue moves, for those who watch their position.
    moved: Notify,
    service_time: ServiceTime,
}

/// What only a request that has to wait needs.
#[derive(Debug, Default)]
struct Contended {
    waiting: FairQueue<oneshot::Sender<Result<Slot, Refused>>>,
    accounts: Accounts,
}

impl Admission {
    /// A gate for `active_permits` running requests (0 counts as 1) and `queue_depth` waiting ones.
    #[must_use]
    pub fn new(active_permits: usize, queue_depth: usize) -> Self {
        Self::with_limits(Limits::new(active_permits, queue_depth))
    }

    /// A gate that lets everybody run.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::new(u32::MAX as usize, 0)
    }

    /// A gate with these limits. Counts past `u32::MAX` count as that.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        let within = |count: usize| count.min(u32::MAX as usize);
        let limits = Limits {
            active: within(limits.active.max(1)),
            queue_depth: within(limits.queue_depth),
            ..limits
        };
        Self(Arc::new(Gate {
            limits,
            counts: AtomicU64::new(0),
            queue: Mutex::default(),
            moved: Notify::new(),
            service_time: ServiceTime::default(),
        }))
    }

    /// The account of a client, which all its connections share.
    #[must_use]
    pub fn client(&self, key: ClientKey) -> Client {
        self.0.lock().accounts.open(key)
    }

    /// Lets `request` in: to run, to wait, or not at all.
    ///
    /// # Errors
    /// [`Refused`], at once.
    pub fn enter<'g>(
        &'g self,
        who: &'g Client,
        request: &Resolved,
        now: Instant,
    ) -> Result<Place<'g>, Refused> {
        let gate = &self.0;
        let cost = prompt_cost(request);
        if gate.try_run() {
            return Ok(Place::Ready(Permit::new(gate, who.account(), cost, now)));
        }
        if gate.is_closed_to(who.account()) {
            return Err(gate.queue_full());
        }
        gate.enqueue(who.account(), request, cost, now)
    }

    /// How full the gate is.
    #[must_use]
    pub fn state(&self) -> QueueState {
        self.0.state()
    }

    /// When trying again is worth while after a refusal.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        self.0.expected_wait(0).max(RETRY_AFTER_MIN)
    }

    /// The limits it was made with.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// Clients with a connection.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.0.lock().accounts.connected()
    }
}

const RUNNING: u64 = 1 << 32;
const WAITING: u64 = 1;

#[expect(clippy::cast_possible_truncation, reason = "each half holds a u32")]
fn split(counts: u64) -> (usize, usize) {
    ((counts >> 32) as usize, counts as u32 as usize)
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, Contended> {
        // No code under this lock leaves it half changed, so a panic elsewhere is no reason to stop.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> QueueState {
        let (running, waiting) = split(self.counts.load(Ordering::Acquire));
        QueueState { running, waiting, capacity: self.limits.queue_depth }
    }

    /// Takes a slot if one is free and nobody waits for it.
    fn try_run(&self) -> bool {
        self.counts
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |counts| {
                let (running, waiting) = split(counts);
                (waiting == 0 && running < self.limits.active).then_some(counts + RUNNING)
            })
            .is_ok()
    }

    /// Whether there is neither a slot nor a place, nor anybody who would have to give way to this client: most refusals
    /// under load, for which nobody need wait for the lock.
    fn is_closed_to(&self, account: &Account) -> bool {
        let (running, waiting) = split(self.counts.load(Ordering::Acquire));
        let no_claim = self.limits.queue_depth == 0 || account.places() >= self.limits.per_client_queue;
        no_claim && running >= self.limits.active && waiting >= self.limits.queue_depth
    }

    /// Takes a slot (true) or counts one more as waiting, in one step: a slot freed before it is taken here, one freed
    /// after it is passed on under the lock, which the caller holds.
    fn run_or_wait(&self) -> bool {
        let runs = |counts| {
            let (running, waiting) = split(counts);
            waiting == 0 && running < self.limits.active
        };
        let before = self.counts.fetch_update(Ordering::AcqRel, Ordering::Acquire, |counts| {
            Some(counts + if runs(counts) { RUNNING } else { WAITING })
        });
        before.is_ok_and(runs)
    }

    fn enqueue<'g>(
        self: &'g Arc<Self>,
        account: &'g Arc<Account>,
        request: &Resolved,
        cost: u64,
        now: Instant,
    ) -> Result<Place<'g>, Refused> {
        let mut queue = self.lock();
        if let Some(limit) = request.max_wait.into_iter().chain(request.deadline).min() {
            queue.lift(account);
            let ahead = queue.waiting.ahead_of(account, request.priority, now, self.limits.ageing);
            let wait = self.expected_wait(ahead);
            if wait > limit {
                return Err(Refused::TooLate { wait_ms: millis(wait) });
            }
        }
        let mut gave_way = None;
        if queue.waiting.len() < self.limits.queue_depth {
            if self.run_or_wait() {
                return Ok(Place::Ready(Permit::new(self, account, cost, now)));
            }
        } else {
            gave_way = queue.waiting.give_way(account, self.limits.per_client_queue);
            if gave_way.is_none() {
                return Err(self.queue_full());
            }
        }
        queue.lift(account);
        let (turn, comes) = oneshot::channel();
        let spot = queue.waiting.push(account, request.priority, cost, now, turn);
        drop(queue);
        self.moved.notify_waiters();
        if let Some(newest) = gave_way {
            // Its owner may be leaving at this moment, and then needs no answer.
            newest.send(Err(self.queue_full())).ok();
        }
        Ok(Place::Waiting(Waiting { gate: self, account, spot, comes }))
    }

    /// Gives a freed slot to the next in line, or back.
    fn release(self: &Arc<Self>, now: Instant) {
        let given_back = self.counts.fetch_update(Ordering::AcqRel, Ordering::Acquire, |counts| {
            (split(counts).1 == 0).then(|| counts - RUNNING)
        });
        if given_back.is_ok() {
            return;
        }
        let mut queue = self.lock();
        let next = queue.waiting.pop(now, self.limits.ageing);
        self.counts.fetch_sub(if next.is_some() { WAITING } else { RUNNING }, Ordering::AcqRel);
        drop(queue);
        if let Some(next) = next {
            let slot = Slot::new(Arc::clone(self), next.account, next.cost, now);
            // A receiver that is gone hands the slot back, and dropping it wakes the one after.
            drop(next.payload.send(Ok(slot)));
            self.moved.notify_waiters();
        }
    }

    /// How long a request with `ahead` others before it waits for its slot.
    fn expected_wait(&self, ahead: usize) -> Duration {
        self.service_time.wait(ahead + 1, self.limits.active)
    }

    #[cold]
    fn queue_full(&self) -> Refused {
        let retry_after = self.expected_wait(0).max(RETRY_AFTER_MIN);
        Refused::QueueFull { retry_after, queue: self.state() }
    }
}

/// The least `retry_after` a refusal names.
const RETRY_AFTER_MIN: Duration = Duration::from_millis(50);

impl Contended {
    /// A client that returns starts at the least counter among those active.
    fn lift(&mut self, account: &Arc<Account>) {
        if !self.waiting.holds(account)
            && let Some(least) = self.accounts.least_active(account)
        {
            account.lift(least);
        }
    }
}

/// What the prompt of `request` is charged: its tokens, at four bytes each until the engine says better.
fn prompt_cost(request: &Resolved) -> u64 {
    let bytes: usize = request.messages.iter().map(|message| message.content.text_bytes()).sum();
    (bytes as u64).div_ceil(4).max(1)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The band a priority starts in; a lower band goes first.
fn band(priority: Priority) -> usize {
    match priority {
        Priority::Interactive => 0,
        Priority::Normal => 1,
        Priority::Batch => 2,
    }
}

#[cfg(test)]
mod tests;

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
mod limits;
mod place;

use std::cmp::Ordering::{Equal, Greater, Less};
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
use limits::InForce;
pub use limits::Limits;
pub use place::{Permit, Place};
use place::{Slot, Waiting};

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
    limits: InForce,
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
    waiting: FairQueue<Turn>,
    accounts: Accounts,
}

/// Where a waiter hears that its turn has come, or that it has to give way.
type Turn = oneshot::Sender<Result<Slot, Refused>>;

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
        Self(Arc::new(Gate {
            limits: InForce::new(limits),
            counts: AtomicU64::new(0),
            queue: Mutex::default(),
            moved: Notify::new(),
            service_time: ServiceTime::default(),
        }))
    }

    /// Goes by `limits` from here on. Of more slots those who wait get theirs at once; where there are fewer, whoever runs
    /// finishes first, and so does whoever has a place in a queue that has become too small for it.
    pub fn reconfigure(&self, limits: Limits) {
        self.0.limits.set(limits);
        self.0.fill(Instant::now());
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

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.0.limits.all()
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
        QueueState { running, waiting, capacity: self.limits.queue_depth() }
    }

    /// Takes a slot if one is free and nobody waits for it.
    fn try_run(&self) -> bool {
        self.counts
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |counts| {
                let (running, waiting) = split(counts);
                (waiting == 0 && running < self.limits.active()).then_some(counts + RUNNING)
            })
            .is_ok()
    }

    /// Whether there is neither a slot nor a place, nor anybody who would have to give way to this client: most refusals
    /// under load, for which nobody need wait for the lock.
    fn is_closed_to(&self, account: &Account) -> bool {
        let (running, waiting) = split(self.counts.load(Ordering::Acquire));
        let no_claim = self.limits.queue_depth() == 0 || account.places() >= self.limits.per_client_queue();
        no_claim && running >= self.limits.active() && waiting >= self.limits.queue_depth()
    }

    /// Takes a slot (true) or counts one more as waiting, in one step: a slot freed before it is taken here, one freed
    /// after it is passed on under the lock, which the caller holds.
    fn run_or_wait(&self) -> bool {
        let runs = |counts| {
            let (running, waiting) = split(counts);
            waiting == 0 && running < self.limits.active()
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
            let ahead = queue.waiting.ahead_of(account, request.priority, now, self.limits.ageing());
            let wait = self.expected_wait(ahead);
            if wait > limit {
                return Err(Refused::TooLate { wait_ms: millis(wait) });
            }
        }
        let mut gave_way = None;
        match queue.waiting.len().cmp(&self.limits.queue_depth()) {
            Less if self.run_or_wait() => {
                return Ok(Place::Ready(Permit::new(self, account, cost, now)));
            }
            Less => {}
            Equal => {
                let newest = queue.waiting.give_way(account, self.limits.per_client_queue());
                gave_way = Some(newest.ok_or_else(|| self.queue_full())?);
            }
            // The queue has become smaller than what waits in it: that keeps its places.
            Greater => return Err(self.queue_full()),
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

    /// Gives a slot back, and what is free then to the next in line.
    fn release(self: &Arc<Self>, now: Instant) {
        let before = self.counts.fetch_sub(RUNNING, Ordering::AcqRel);
        if split(before).1 > 0 {
            self.fill(now);
        }
    }

    /// Gives free slots to those who wait, in their order.
    fn fill(self: &Arc<Self>, now: Instant) {
        // Sent without the lock: a receiver that is gone hands its slot back, and that fills it again.
        while let Some((turn, slot)) = self.next_turn(now) {
            drop(turn.send(Ok(slot)));
            self.moved.notify_waiters();
        }
    }

    /// Takes the next in line out of the queue, with a slot for it, if one is free.
    fn next_turn(self: &Arc<Self>, now: Instant) -> Option<(Turn, Slot)> {
        let mut queue = self.lock();
        // While somebody waits nobody takes a slot but under this lock: what is free here stays free.
        if split(self.counts.load(Ordering::Acquire)).0 >= self.limits.active() {
            return None;
        }
        let next = queue.waiting.pop(now, self.limits.ageing())?;
        self.counts.fetch_add(RUNNING - WAITING, Ordering::AcqRel);
        Some((next.payload, Slot::new(Arc::clone(self), next.account, next.cost, now)))
    }
    /// How long a request with `ahead` others before it waits for its slot.
    fn expected_wait(&self, ahead: usize) -> Duration {
        self.service_time.wait(ahead + 1, self.limits.active())
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

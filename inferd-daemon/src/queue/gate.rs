//! The gate itself: who runs and who waits, in one atomic word and one lock.
//!
//! Invariants:
//! - Who need not wait takes no lock; the count of those who wait changes only under it.
//! - A slot or a seat that becomes free while somebody waits is given away under the lock, by whoever freed it.

mod entry;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use inferd_proto::QueueState;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::Refused;
use super::account::{Account, Accounts};
use super::ask::Need;
use super::estimate::ServiceTime;
use super::fair::FairQueue;
use super::limits::{InForce, Limits};
use super::place::{Slot, Takes};
use super::room::{Room, Seat, Seats, Wants};

pub(super) use entry::Newcomer;

#[derive(Debug)]
pub(super) struct Gate {
    pub(super) limits: InForce,
    /// Running in the upper half, waiting in the lower: one word, so that the uncontended path is one exchange.
    counts: AtomicU64,
    /// Seats given to waiters who have not taken them yet.
    promised: AtomicUsize,
    /// Whether anybody ever waited for a seat alone, with no need of a slot.
    any_slotless: AtomicBool,
    queue: Mutex<Contended>,
    /// Signalled whenever the queue moves, for those who watch their position.
    pub(super) moved: Notify,
    pub(super) service_time: ServiceTime,
}

/// What only a request that has to wait needs.
#[derive(Debug, Default)]
pub(super) struct Contended {
    pub(super) waiting: FairQueue<Waiter>,
    pub(super) accounts: Accounts,
}

/// Somebody who waits.
#[derive(Debug)]
pub(super) struct Waiter {
    turn: Turn,
    wants: Arc<Wants>,
}

/// Where a waiter hears that its turn has come, or that it has to give way.
type Turn = oneshot::Sender<Result<Slot, Refused>>;

/// What a waiter that was taken out of the queue is told.
struct Word {
    to: Turn,
    word: Result<Slot, Refused>,
}

const RUNNING: u64 = 1 << 32;
const WAITING: u64 = 1;

/// What one that begins to run adds to the counts.
const fn run(slot: bool) -> u64 {
    if slot { RUNNING } else { 0 }
}

/// The least `retry_after` a refusal names.
pub(super) const RETRY_AFTER_MIN: Duration = Duration::from_millis(50);

#[expect(clippy::cast_possible_truncation, reason = "each half holds a u32")]
fn split(counts: u64) -> (usize, usize) {
    ((counts >> 32) as usize, counts as u32 as usize)
}

impl Gate {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits: InForce::new(limits),
            counts: AtomicU64::new(0),
            promised: AtomicUsize::new(0),
            any_slotless: AtomicBool::new(false),
            queue: Mutex::default(),
            moved: Notify::new(),
            service_time: ServiceTime::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Contended> {
        // No code under this lock leaves it half changed, so a panic elsewhere is no reason to stop.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> QueueState {
        let (running, waiting) = split(self.counts.load(Ordering::Acquire));
        QueueState { running, waiting, capacity: self.limits.queue_depth() }
    }

    /// The seat that a newcomer would find.
    pub(super) fn seat(&self, need: Need<'_>, room: &dyn Room, now: Instant) -> Option<Seat> {
        if !room.bell().is_limited() {
            return Some(Seat::Unlimited);
        }
        Seat::among(room.seats(need, now), self.promised.load(Ordering::Acquire))
    }

    /// Takes a slot if one is free and nobody waits for it; `slot`: one is needed.
    pub(super) fn try_run(&self, slot: bool) -> bool {
        if !slot {
            return split(self.counts.load(Ordering::Acquire)).1 == 0;
        }
        self.counts
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |counts| {
                let (running, waiting) = split(counts);
                (waiting == 0 && running < self.limits.active()).then_some(counts + RUNNING)
            })
            .is_ok()
    }

    /// Whether there is neither a slot nor a place, nor anybody who would have to give way to this client: most refusals
    /// under load, for which nobody need wait for the lock.
    pub(super) fn is_closed_to(&self, account: &Account) -> bool {
        let (running, waiting) = split(self.counts.load(Ordering::Acquire));
        let no_claim = self.limits.queue_depth() == 0 || account.places() >= self.limits.per_client_queue();
        no_claim && running >= self.limits.active() && waiting >= self.limits.queue_depth()
    }

    /// Counts one waiter less, who left.
    pub(super) fn waits_no_more(&self) {
        self.counts.fetch_sub(WAITING, Ordering::AcqRel);
    }

    /// Gives a slot back, and what is free then to the next in line.
    pub(super) fn release(self: &Arc<Self>, now: Instant) {
        self.counts.fetch_sub(RUNNING, Ordering::AcqRel);
        self.refill(now);
    }

    /// Gives what has become free, if anybody waits for it.
    pub(super) fn refill(self: &Arc<Self>, now: Instant) {
        if split(self.counts.load(Ordering::Acquire)).1 > 0 {
            self.fill(now);
        }
    }

    /// Keeps no seat any longer for somebody who was promised one.
    pub(super) fn forgo(&self, seat: Seat) {
        if seat == Seat::Limited {
            self.promised.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Gives free slots to those who wait and have room, in their order.
    pub(super) fn fill(self: &Arc<Self>, now: Instant) {
        loop {
            let turn = self.next_turn(&mut self.lock(), now);
            if turn.is_none() {
                return;
            }
            self.pass_on(turn);
        }
    }

    /// Takes the next in line for whom there is room out of the queue, with a slot for it, if one is free.
    fn next_turn(self: &Arc<Self>, queue: &mut Contended, now: Instant) -> Option<Word> {
        // While somebody waits nobody takes a slot but under this lock: what is free here stays free.
        let (running, waiting) = split(self.counts.load(Ordering::Acquire));
        let full = running >= self.limits.active();
        if waiting == 0 || full && !self.any_slotless.load(Ordering::Acquire) {
            return None;
        }
        let mut seats = Seats::new(now, self.promised.load(Ordering::Acquire));
        let leave =
            |waiter: &Waiter| if full && waiter.wants.slot { None } else { seats.one_for(&waiter.wants) };
        let (seat, next) = queue.waiting.pop(now, self.limits.ageing(), leave)?;
        if seat == Seat::Limited {
            self.promised.fetch_add(1, Ordering::AcqRel);
        }
        let takes = Takes { slot: next.payload.wants.slot, seat };
        self.counts.fetch_add(run(takes.slot).wrapping_sub(WAITING), Ordering::AcqRel);
        let slot = Slot::new(Arc::clone(self), next.account, next.cost, takes, now);
        Some(Word { to: next.payload.turn, word: Ok(slot) })
    }

    /// Tells waiters what has become of them. Never under the lock: who is gone hands its slot back, and that fills it
    /// again.
    fn pass_on(&self, words: impl IntoIterator<Item = Word>) {
        for Word { to, word } in words {
            // A slot that is not received is dropped here, and one that gives way needs no answer when it is gone.
            drop(to.send(word));
            self.moved.notify_waiters();
        }
    }

    /// How long a request with `ahead` others before it waits for its slot.
    pub(super) fn expected_wait(&self, ahead: usize) -> Duration {
        self.service_time.wait(ahead + 1, self.limits.active())
    }

    #[cold]
    pub(super) fn queue_full(&self) -> Refused {
        let retry_after = self.expected_wait(0).max(RETRY_AFTER_MIN);
        Refused::QueueFull { retry_after, queue: self.state() }
    }
}

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

//! Coming to a gate where one cannot simply run: to a slot after all, to a place in the queue, or away.
//!
//! Invariants:
//! - Those who wait and could run are let in before a newcomer is looked at.
//! - Nobody is told anything under the lock.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Contended, Gate, WAITING, Waiter, Word, run, split};
use crate::queue::account::Account;
use crate::queue::ask::Ask;
use crate::queue::place::{Permit, Place, Waiting};
use crate::queue::room::{Room, Seats, Wants};
use crate::queue::{Refused, millis};

/// Somebody who comes to the gate.
pub(in crate::queue) struct Newcomer<'g, 'a> {
    pub(in crate::queue) account: &'g Arc<Account>,
    pub(in crate::queue) ask: &'a Ask<'a>,
    pub(in crate::queue) room: Arc<dyn Room>,
    /// Whether it needs a slot.
    pub(in crate::queue) slot: bool,
    pub(in crate::queue) now: Instant,
}

/// What is done under the lock, and told when it is let go of.
struct Entry<'q> {
    queue: &'q mut Contended,
    words: Vec<Word>,
}

impl Gate {
    /// Lets a newcomer in that could not run without further ado.
    pub(in crate::queue) fn enqueue<'g>(
        self: &'g Arc<Self>,
        newcomer: Newcomer<'g, '_>,
    ) -> Result<Place<'g>, Refused> {
        let mut queue = self.lock();
        let mut entry = Entry { queue: &mut queue, words: Vec::new() };
        let entered = if self.runs_after_all(&mut entry, &newcomer) {
            Ok(newcomer.runs(self))
        } else {
            self.wait(&mut entry, newcomer)
        };
        let words = entry.words;
        drop(queue);
        self.pass_on(words);
        if matches!(entered, Ok(Place::Waiting(_))) {
            self.moved.notify_waiters();
        }
        entered
    }

    /// Takes a place in the queue, or a slot that has become free meanwhile.
    fn wait<'g>(
        self: &'g Arc<Self>,
        entry: &mut Entry<'_>,
        newcomer: Newcomer<'g, '_>,
    ) -> Result<Place<'g>, Refused> {
        let Newcomer { account, ask, now, .. } = newcomer;
        self.in_time(entry.queue, &newcomer)?;
        match entry.queue.waiting.len().cmp(&self.limits.queue_depth()) {
            Less if self.runs_or_waits(entry, &newcomer) => return Ok(newcomer.runs(self)),
            Less => {}
            Equal => {
                let newest = entry.queue.waiting.give_way(account, self.limits.per_client_queue());
                let newest = newest.ok_or_else(|| self.queue_full())?;
                entry.words.push(Word { to: newest.turn, word: Err(self.queue_full()) });
            }
            // The queue has become smaller than what waits in it: that keeps its places.
            Greater => return Err(self.queue_full()),
        }
        entry.queue.lift(account);
        let (turn, comes) = oneshot::channel();
        let (room, slot) = (newcomer.room, newcomer.slot);
        if !slot {
            self.any_slotless.store(true, Ordering::Release);
        }
        let wants = Arc::new(Wants::new(Arc::clone(&room), ask.need, slot));
        let spot = entry.queue.waiting.push(account, ask.priority, ask.cost, now, Waiter { turn, wants });
        Ok(Place::Waiting(Waiting { gate: self, account, spot, comes, room }))
    }

    /// Whether the newcomer is willing to wait for as long as it is likely to have to.
    fn in_time(&self, queue: &mut Contended, newcomer: &Newcomer<'_, '_>) -> Result<(), Refused> {
        let Newcomer { account, ask, now, .. } = newcomer;
        let Some(patience) = ask.patience else { return Ok(()) };
        queue.lift(account);
        let seated = newcomer.has_seat(self);
        let mut seats = Seats::new(*now, self.promised.load(Ordering::Acquire));
        // Who has room goes by those who have none; who has none waits for at least as long as all of them.
        let goes = |waiter: &Waiter| !seated || seats.one_for(&waiter.wants).is_some();
        let ahead = queue.waiting.ahead_of(account, ask.priority, *now, self.limits.ageing(), goes);
        let wait = self.expected_wait(ahead);
        if wait > patience { Err(Refused::TooLate { wait_ms: millis(wait) }) } else { Ok(()) }
    }

    /// Takes a slot, if there is one and a seat.
    fn runs_after_all(self: &Arc<Self>, entry: &mut Entry<'_>, newcomer: &Newcomer<'_, '_>) -> bool {
        self.after_those_who_wait(entry, newcomer.now, |counts| {
            (newcomer.has_slot(self, counts) && newcomer.has_seat(self)).then_some(run(newcomer.slot))
        })
        .is_some()
    }

    /// Takes a slot (true) or counts one more as waiting, in one step: a slot freed before it is taken here, one freed
    /// after it is passed on under the lock.
    fn runs_or_waits(self: &Arc<Self>, entry: &mut Entry<'_>, newcomer: &Newcomer<'_, '_>) -> bool {
        let counted = self.after_those_who_wait(entry, newcomer.now, |counts| {
            let runs = newcomer.has_slot(self, counts) && newcomer.has_seat(self);
            Some(if runs { run(newcomer.slot) } else { WAITING })
        });
        counted != Some(WAITING)
    }

    /// Gives those who wait what there is for them, and then counts what `step` says of what is left.
    fn after_those_who_wait(
        self: &Arc<Self>,
        Entry { queue, words }: &mut Entry<'_>,
        now: Instant,
        step: impl Fn(u64) -> Option<u64>,
    ) -> Option<u64> {
        loop {
            let counts = self.counts.load(Ordering::Acquire);
            if let Some(word) = self.next_turn(queue, now) {
                words.push(word);
                continue;
            }
            // Unless it is still what it was, something was freed that may be for one of those.
            let step = step(counts)?;
            let counted =
                self.counts.compare_exchange(counts, counts + step, Ordering::AcqRel, Ordering::Acquire);
            if counted.is_ok() {
                return Some(step);
            }
        }
    }
}

impl<'g> Newcomer<'g, '_> {
    /// Whether the slot that it needs, if it does, is free.
    fn has_slot(&self, gate: &Gate, counts: u64) -> bool {
        !self.slot || split(counts).0 < gate.limits.active()
    }

    fn has_seat(&self, gate: &Gate) -> bool {
        gate.seat(self.ask.need, &*self.room, self.now).is_some()
    }

    fn runs(&self, gate: &'g Arc<Gate>) -> Place<'g> {
        Place::Ready(Permit::new(gate, self.account, self.ask.cost, self.slot, self.now))
    }
}

//! Room: what a request may need beside a slot, and the bell that says there may be more of it.
//!
//! The gate asks a [`Room`] whether a request that has its turn could begin, and steps over it where it could not.
//!
//! Invariants:
//! - Where nothing is limited nothing is asked, and the bell is silent.
//! - Nobody looks, finds no room, and misses the bell: a gate looks and goes to wait under the lock that the bell takes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use super::ask::{Need, Work};
use super::gate::Gate;

/// Knows how much room there is. Implementations take no lock that is held while their bell rings.
pub trait Room: Send + Sync {
    /// How many requests of this need could begin now. [`usize::MAX`] where nothing limits them, and where there is
    /// nothing that they could wait for.
    fn seats(&self, need: Need<'_>, now: Instant) -> usize;

    /// Whether such requests are work of this machine, or of a server that it asks: they need a slot beside a seat. What
    /// people answer needs none.
    fn needs_slot(&self, _need: Need<'_>) -> bool {
        true
    }

    /// When there may be more although nobody leaves.
    fn opens_at(&self, now: Instant) -> Option<Instant>;

    /// Rings when there may be more.
    fn bell(&self) -> &Bell;
}

/// Tells those who wait that there may be more room.
#[derive(Debug, Default)]
pub struct Bell {
    /// Whether anything is limited.
    limited: AtomicBool,
    rung: Notify,
    /// Signalled when [`Room::opens_at`] may be another.
    retimed: Notify,
    gates: RwLock<Vec<Weak<Gate>>>,
}

impl Bell {
    /// Whether there is anything to wait for.
    pub(crate) fn is_limited(&self) -> bool {
        self.limited.load(Ordering::Acquire)
    }

    /// Says that there may be more room, if room is limited at all.
    pub(crate) fn ring(&self) {
        if self.is_limited() {
            self.ring_out();
        }
    }

    /// Says that time may bring more room at another moment than before.
    pub(crate) fn retime(&self) {
        self.retimed.notify_waiters();
    }

    /// Says that everything may be different.
    pub(crate) fn change(&self, limited: bool) {
        self.limited.store(limited, Ordering::Release);
        self.ring_out();
        self.retime();
    }

    /// Resolves when it is rung after this call.
    pub(crate) fn rung(&self) -> Notified<'_> {
        self.rung.notified()
    }

    /// Resolves when [`Room::opens_at`] may be another than it was at this call.
    pub(super) fn retimed(&self) -> Notified<'_> {
        self.retimed.notified()
    }

    /// Rings at `gate` too from here on.
    pub(super) fn connect(&self, gate: &Arc<Gate>) {
        let is_it = |other: &Weak<Gate>| std::ptr::eq(other.as_ptr(), Arc::as_ptr(gate));
        if self.gates.read().unwrap_or_else(PoisonError::into_inner).iter().any(is_it) {
            return;
        }
        let mut gates = self.gates.write().unwrap_or_else(PoisonError::into_inner);
        gates.retain(|other| other.strong_count() > 0);
        if !gates.iter().any(is_it) {
            gates.push(Arc::downgrade(gate));
        }
    }

    fn ring_out(&self) {
        self.rung.notify_waiters();
        for gate in self.gates.read().unwrap_or_else(PoisonError::into_inner).iter() {
            if let Some(gate) = gate.upgrade() {
                gate.fill(Instant::now());
            }
        }
    }
}

/// What one waiter needs, and of whom.
pub(super) struct Wants {
    pub(super) room: Arc<dyn Room>,
    model: Option<Box<str>>,
    work: Work,
    /// Whether a seat is not enough.
    pub(super) slot: bool,
}

impl std::fmt::Debug for Wants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wants").field("need", &self.need()).finish_non_exhaustive()
    }
}

impl Wants {
    pub(super) fn new(room: Arc<dyn Room>, need: Need<'_>, slot: bool) -> Self {
        Self { room, model: need.model.map(Into::into), work: need.work, slot }
    }

    fn need(&self) -> Need<'_> {
        Need { model: self.model.as_deref(), work: self.work }
    }

    fn is_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.room, &other.room) && self.need() == other.need()
    }
}

/// How many seats there are, asked once for each need.
pub(super) struct Seats {
    now: Instant,
    /// Seats that are free but were promised to somebody who has not taken them yet.
    promised: usize,
    known: Vec<(Arc<Wants>, usize)>,
}

impl Seats {
    pub(super) fn new(now: Instant, promised: usize) -> Self {
        Self { now, promised, known: Vec::new() }
    }

    /// Whether there is a seat for whoever wants this; and whether it has to be promised, as others may want it.
    pub(super) fn one_for(&mut self, wants: &Arc<Wants>) -> Option<Seat> {
        if !wants.room.bell().is_limited() {
            return Some(Seat::Unlimited);
        }
        let known = self.known.iter().find(|(other, _)| other.is_like(wants));
        let seats = match known {
            Some((_, seats)) => *seats,
            None => {
                let seats = wants.room.seats(wants.need(), self.now);
                self.known.push((Arc::clone(wants), seats));
                seats
            }
        };
        Seat::among(seats, self.promised)
    }
}

/// A seat that somebody may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seat {
    /// As many as anybody wants.
    Unlimited,
    /// One of a few.
    Limited,
}

impl Seat {
    /// One of so many, of which some are promised.
    pub(super) fn among(seats: usize, promised: usize) -> Option<Self> {
        match seats {
            usize::MAX => Some(Self::Unlimited),
            seats => (seats > promised).then_some(Self::Limited),
        }
    }
}

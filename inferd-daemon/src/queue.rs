//! Admission: the one gate in front of every engine.
//!
//! A request enters and is refused, given a [`Permit`], or given a [`Place`] to wait in; a free slot goes to
//! whoever `fair::FairQueue` says is next among those for whom there is [`Room`]. Which engine runs it, and what it is,
//! are not known here.
//!
//! Invariants:
//! - Never more than `active` permits out that take a slot, never more than `queue_depth` places held. What people answer
//!   takes none (docs/adr/0012): it is bounded by the room there is for it.
//! - Permits and places free themselves when dropped; nothing else frees them, so nothing can leak one.
//! - While somebody waits who could begin, no newcomer runs first except by the queue's own order.

mod account;
mod ask;
mod estimate;
mod fair;
mod gate;
mod limits;
mod place;
mod room;

use std::sync::Arc;
use std::time::Duration;

use inferd_proto::{Priority, QueueState};
use tokio::time::Instant;

pub use account::{Client, ClientKey};
pub use ask::{Ask, Need, Work};
use gate::{Gate, Newcomer, RETRY_AFTER_MIN};
pub use limits::Limits;
pub use place::{Permit, Place};
pub use room::{Bell, Room};

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

impl Admission {
    /// A gate for `active_permits` running requests (0 counts as 1) and `queue_depth` waiting ones.
    #[must_use]
    pub fn new(active_permits: usize, queue_depth: usize) -> Self {
        Self::with_limits(Limits::new(active_permits, queue_depth))
    }

    /// A gate that lets everybody run for whom there is room.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::new(usize::MAX, usize::MAX)
    }

    /// A gate with these limits. Counts past `u32::MAX` count as that.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        Self(Arc::new(Gate::new(limits)))
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

    /// Lets a request in: to run, to wait for a slot and for `room`, or not at all.
    ///
    /// # Errors
    /// [`Refused`], at once.
    pub fn enter<'g>(
        &'g self,
        who: &'g Client,
        ask: &Ask<'_>,
        room: &Arc<impl Room + 'static>,
        now: Instant,
    ) -> Result<Place<'g>, Refused> {
        let gate = &self.0;
        let slot = room.needs_slot(ask.need);
        if gate.seat(ask.need, &**room, now).is_some() && gate.try_run(slot) {
            return Ok(Place::Ready(Permit::new(gate, who.account(), ask.cost, slot, now)));
        }
        if slot && gate.is_closed_to(who.account()) {
            return Err(gate.queue_full());
        }
        room.bell().connect(gate);
        let room: Arc<dyn Room> = Arc::clone(room) as _;
        gate.enqueue(Newcomer { account: who.account(), ask, room, slot, now })
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

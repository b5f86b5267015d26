//! Visitors, who are here while a call of theirs is served and otherwise away.
//!
//! Time is an argument.
//!
//! Invariants:
//! - A lender is served by one call at a time; a [`Visit`] that is dropped takes it out.
//! - A handle is good once.
//! - Who has not come back in time is out.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use inferd_engine::sampling::SamplingClient;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::StateError;
use crate::mcp::lend::mailbox::Mailbox;
use crate::mcp::lend::pool::{Lease, Pool, Scope, Terms};
use crate::mcp::lend::seal::{Handle, SealError};

/// The most lenders, here or away.
pub(super) const VISITORS_MAX: usize = 256;

/// Who lends, and on which terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) principal: Option<Arc<str>>,
    pub(super) scope: Scope,
    pub(super) tools: bool,
}

impl Owner {
    /// What a lender's state is bound to: the caller, and what it asked for.
    pub(super) fn bound(&self) -> [&[u8]; 2] {
        let scope: &[u8] = match self.scope {
            Scope::Own => b"own",
            Scope::All => b"all",
        };
        [self.principal.as_deref().unwrap_or_default().as_bytes(), scope]
    }
}

/// One who lends.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) id: Uuid,
    pub(super) owner: Owner,
    pub(super) mailbox: Arc<Mailbox>,
    /// The number of the round that it may come back with.
    round: u64,
    /// How many rounds it was given since it began anew,
    pub(super) rounds: u32,
    /// and how many calls it answered.
    pub(super) answered: usize,
    /// It has no round to answer, and may begin anew.
    is_idle: bool,
    _lease: Lease,
}

impl Visitor {
    fn new(pool: &Pool, owner: Owner) -> Self {
        let id = Uuid::now_v7();
        let session: Arc<str> = id.to_string().into();
        let mailbox = Mailbox::new(Arc::clone(&session), owner.tools);
        let terms = Terms { session, principal: owner.principal.clone(), scope: owner.scope };
        let lease = pool.lend_apart(Arc::clone(&mailbox) as Arc<dyn SamplingClient>, terms);
        Self { id, owner, mailbox, round: 0, rounds: 0, answered: 0, is_idle: false, _lease: lease }
    }
}

/// A lender's place; empty while it is here.
type Places = HashMap<Uuid, Option<Visitor>>;

/// See the module. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Visitors(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    places: Mutex<Places>,
    /// Told when a lender goes.
    went: Notify,
}

impl Inner {
    /// Each change of a place is one step: a poisoned lock is as good as any.
    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visitors {
    /// Takes in a new lender, or one of the same owner that was to lend again. `None`: there is no room.
    pub(super) fn begin(&self, pool: &Pool, owner: Owner, now: Instant) -> Option<Visit> {
        self.sweep(now);
        let mut places = self.0.places();
        let known = places.values_mut().find_map(|place| place.take_if(|it| it.is_idle && it.owner == owner));
        let lender = match known {
            Some(known) => Visitor { rounds: 0, answered: 0, is_idle: false, ..known },
            None if places.len() >= VISITORS_MAX => return None,
            None => Visitor::new(pool, owner),
        };
        places.insert(lender.id, None);
        Some(self.visit(lender))
    }

    /// Lets a lender in that comes back with the handle of a round.
    pub(super) fn back(&self, handle: Handle, now: Instant) -> Result<Visit, StateError> {
        self.sweep(now);
        let mut places = self.0.places();
        let place = places.get_mut(&handle.lender).ok_or(SealError::Expired)?;
        let lender = place.take_if(|it| !it.is_idle && it.round == handle.round).ok_or(StateError::Used)?;
        drop(places);
        Ok(self.visit(lender))
    }

    /// Takes out lenders as their time to come back passes. Does not end.
    pub(super) async fn keep(self) {
        loop {
            let next = self.sweep(Instant::now());
            tokio::select! {
                () = self.0.went.notified() => {}
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
        }
    }

    /// Takes out who has left; when the next one may have.
    fn sweep(&self, now: Instant) -> Option<Instant> {
        let mut left = Vec::new();
        let mut places = self.0.places();
        places.retain(|_, place| {
            let stays = place.as_ref().is_none_or(|lender| !lender.mailbox.has_left(now));
            left.extend(place.take_if(|_| !stays));
            stays
        });
        let next = places.values().flatten().filter_map(|lender| lender.mailbox.awaited()).min();
        drop(places);
        // What happens to their calls is no business of the lock.
        drop(left);
        next
    }

    fn visit(&self, visitor: Visitor) -> Visit {
        visitor.mailbox.back();
        Visit { inner: Arc::clone(&self.0), lender: Some(visitor) }
    }
}

/// A lender while a call of it is served. Dropped, it has left.
#[derive(Debug)]
#[must_use]
pub(super) struct Visit {
    inner: Arc<Inner>,
    lender: Option<Visitor>,
}

impl Visit {
    /// The lender goes with a round, to come back with what this returns by `until`.
    pub(super) fn asked(mut self, until: Instant) -> Handle {
        self.round += 1;
        self.rounds += 1;
        let handle = Handle { lender: self.id, round: self.round };
        self.away(until);
        handle
    }

    /// The lender goes with nothing to answer, and may begin anew by `until`.
    pub(super) fn idle(mut self, until: Instant) {
        self.is_idle = true;
        self.away(until);
    }

    fn away(mut self, until: Instant) {
        let lender = self.lender.take().expect("it is here until now");
        lender.mailbox.away(until);
        self.inner.places().insert(lender.id, Some(lender));
        self.inner.went.notify_one();
    }
}

impl Deref for Visit {
    type Target = Visitor;

    fn deref(&self) -> &Visitor {
        self.lender.as_ref().expect("it is here until the visit is over")
    }
}

impl DerefMut for Visit {
    fn deref_mut(&mut self) -> &mut Visitor {
        self.lender.as_mut().expect("it is here until the visit is over")
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(lender) = self.lender.take() {
            self.inner.places().remove(&lender.id);
        }
    }
}

//! Routing: which lane takes a request, and what becomes of it when that lane fails.
//!
//! A request enters and a [`Ticket`] leaves, which starts it; until the first token a failed attempt moves to the next
//! lane. What a request costs and when it may run is not decided here.
//!
//! Invariants:
//! - Lanes share nothing: one lane's failures never keep a request from another.
//! - Every use of a lane is settled exactly once; a dropped one settles as abandoned and blames nobody.
//! - After the first token there is no second attempt.

mod breaker;
mod budget;
mod hedge;
mod job;
mod lane;
mod lanes;
mod models;
mod ticket;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use inferd_engine::sampling::Waiting;
use inferd_engine::{Backend, GenerateError};
use inferd_proto::Model;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::queue::{Need, Room};
use budget::RetryBudget;
use lane::{Lane, Use};
use lanes::Lanes;

pub use breaker::{Breaker, BreakerConfig, BreakerState, Outcome, Pass};
pub use lane::{LaneConfig, LaneState};
pub use ticket::{Ticket, Tokens};

/// Why no lane took, or finished, a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// No lane serves the model that was named.
    #[error("model `{0}` is not served here")]
    ModelNotFound(String),
    /// Embeddings were asked for, and no lane makes any.
    #[error("no backend here makes embeddings")]
    NoEmbeddings,
    /// Every lane that could is shut.
    #[error("no backend is available")]
    Shut {
        /// When the first of them is tried again.
        retry_after: Duration,
    },
    /// The lane's own error, with no other lane left to try.
    #[error("{error}")]
    Lane {
        /// The lane.
        lane: String,
        /// What it said.
        #[source]
        error: GenerateError,
    },
}

/// The lanes of a daemon.
pub struct Router {
    lanes: Arc<Lanes>,
    budget: Mutex<RetryBudget>,
    /// Signalled when a list of models is likely to be out of date, or missing.
    lists_wanted: Notify,
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router").field("lanes", &self.lanes.now()).finish_non_exhaustive()
    }
}

impl Router {
    /// One lane a backend, all of one priority, each taking any model, with the default breaker.
    #[must_use]
    pub fn new(backends: Vec<Arc<dyn Backend>>) -> Self {
        Self::with_lanes(backends.into_iter().map(|backend| (backend, LaneConfig::default())))
    }

    /// One lane a backend, each with its own configuration.
    #[must_use]
    pub fn with_lanes(lanes: impl IntoIterator<Item = (Arc<dyn Backend>, LaneConfig)>) -> Self {
        let router =
            Self { lanes: Arc::new(Lanes::new()), budget: Mutex::default(), lists_wanted: Notify::new() };
        router.reconfigure(lanes);
        router
    }

    /// Replaces the lanes. Requests that run finish on the lanes they hold; those that are not routed yet, and those that
    /// have to move on, take the new ones. A lane of the same name and the same backend (the same `Arc`) stays what it
    /// is, with its breaker's state, its requests and what was learnt of it, under its new configuration.
    pub fn reconfigure(&self, lanes: impl IntoIterator<Item = (Arc<dyn Backend>, LaneConfig)>) {
        self.lanes.replace(lanes.into_iter().collect());
        self.lists_wanted.notify_one();
    }

    /// Has this lane beside those that are configured from here on, whatever becomes of them; or none. Those who wait look
    /// again at what there is.
    pub fn have_guest(&self, guest: Option<(Arc<dyn Backend>, LaneConfig)>) {
        self.lanes.have(guest);
    }

    /// To be asked before a request that came by `session` waits for a permit, see [`Backend::stand_off`].
    ///
    /// # Errors
    /// [`RouteError::Lane`]: somebody who may hold a permit waits for the client of that session.
    pub fn stand_off(&self, session: &str) -> Result<Vec<Waiting>, RouteError> {
        let mut waiting = Vec::new();
        for lane in self.lanes.now().iter() {
            let stood = lane.backend().stand_off(session);
            waiting.extend(stood.map_err(|error| RouteError::Lane { lane: lane.name().to_owned(), error })?);
        }
        Ok(waiting)
    }

    /// Picks a lane for a request. Waits while every lane that could take it is at its own limit. For a model that no lane
    /// is known to serve it asks them again, where their lists are not new.
    ///
    /// # Errors
    /// [`RouteError::ModelNotFound`], [`RouteError::NoEmbeddings`] or [`RouteError::Shut`].
    pub async fn route(&self, need: Need<'_>, now: Instant) -> Result<Ticket<'_>, RouteError> {
        if self.lanes.len() > 1 {
            self.budget().deposit();
        }
        let using = match self.lanes.look(need, &[], now) {
            Ok(Some(using)) => using,
            _ => Box::pin(self.search(need)).await?,
        };
        Ok(Ticket::new(self, using))
    }

    async fn search(&self, need: Need<'_>) -> Result<Use, RouteError> {
        match self.lanes.pick(need, &[]).await {
            Err(RouteError::ModelNotFound(_)) if self.look_for_news().await => {
                self.lanes.pick(need, &[]).await
            }
            picked => picked,
        }
    }

    /// The room on the lanes, for the queue to ask.
    #[must_use]
    pub fn room(&self) -> &Arc<impl Room + 'static> {
        &self.lanes
    }

    /// Whether every backend is ready, but for those whose peers come later.
    #[must_use]
    pub fn all_ready(&self) -> bool {
        self.lanes.now().iter().all(|lane| lane.is_of_peers() || lane.backend().ready())
    }

    /// What each lane serves.
    #[must_use]
    pub fn models(&self) -> Vec<Model> {
        self.lanes.now().iter().flat_map(|lane| lane.models()).collect()
    }

    /// Where each lane stands.
    #[must_use]
    pub fn state(&self) -> Vec<LaneState> {
        let now = Instant::now();
        self.lanes.now().iter().map(|lane| lane.state(now)).collect()
    }

    /// The backends, in the order they are tried.
    #[must_use]
    pub fn backends(&self) -> Vec<Arc<dyn Backend>> {
        self.lanes.now().iter().map(|lane| Arc::clone(lane.backend())).collect()
    }

    /// A use of a lane beside the slow one that `busy` is, if one passes and has room, and the budget allows it.
    fn rival(&self, need: Need<'_>, tried: &[Arc<Lane>], busy: &Lane) -> Option<Use> {
        let now = Instant::now();
        // Only what is there to be used is paid for; unused, it was abandoned.
        self.lanes.spare(need, tried, busy, now).filter(|_| self.budget().withdraw(now))
    }

    fn budget(&self) -> MutexGuard<'_, RetryBudget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;

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
mod lane;
mod ticket;

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use inferd_engine::{Backend, GenerateError};
use inferd_proto::Model;
use tokio::time::Instant;

use budget::RetryBudget;
use lane::{Bell, Lane};

pub use breaker::{Breaker, BreakerConfig, BreakerState, Outcome, Pass};
pub use lane::{LaneConfig, LaneState};
pub use ticket::{Ticket, Tokens};

/// Why no lane took, or finished, a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// No lane serves the model that was named.
    #[error("model `{0}` is not served here")]
    ModelNotFound(String),
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

/// When to ask again while the only lane is being probed: nobody knows how long that takes.
const PROBE_PATIENCE: Duration = Duration::from_secs(1);

/// The lanes of a daemon.
pub struct Router {
    /// Ordered by priority. Swapped whole; the lock is held for a look, never for a wait.
    lanes: RwLock<Arc<[Arc<Lane>]>>,
    bell: Arc<Bell>,
    budget: Mutex<RetryBudget>,
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router").field("lanes", &self.lanes()).finish_non_exhaustive()
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
            Self { lanes: RwLock::new(Arc::new([])), bell: Arc::default(), budget: Mutex::default() };
        router.reconfigure(lanes);
        router
    }

    /// Replaces the lanes. Requests that run finish on the lanes they hold; those that are not routed yet, and those that
    /// have to move on, take the new ones. A lane of the same name and the same backend (the same `Arc`) stays what it
    /// is, with its breaker's state, its requests and what was learnt of it, under its new configuration.
    pub fn reconfigure(&self, lanes: impl IntoIterator<Item = (Arc<dyn Backend>, LaneConfig)>) {
        let lanes: Vec<_> = lanes.into_iter().collect();
        let mut current = self.lanes.write().unwrap_or_else(PoisonError::into_inner);
        let lane = |(backend, config): (Arc<dyn Backend>, LaneConfig)| {
            let before = current.iter().find(|lane| lane.is_of(&backend));
            Arc::new(match before {
                Some(before) => before.reconfigured(config),
                None => Lane::new(backend, config, Arc::clone(&self.bell)),
            })
        };
        let mut lanes: Vec<_> = lanes.into_iter().map(lane).collect();
        lanes.sort_by_key(|lane| lane.priority());
        let limited = lanes.iter().any(|lane| lane.is_limited());
        let replaced = std::mem::replace(&mut *current, lanes.into());
        drop(current);
        // What is let go of with the last of its lanes is let go of without the lock.
        drop(replaced);
        self.bell.lanes_changed(limited);
    }

    /// Picks a lane for a request that names `model`, or names none. Waits while every lane that could take it is at
    /// its own limit.
    ///
    /// # Errors
    /// [`RouteError::ModelNotFound`] or [`RouteError::Shut`].
    pub async fn route(&self, model: Option<&str>, now: Instant) -> Result<Ticket<'_>, RouteError> {
        if self.look_in().len() > 1 {
            self.budget().deposit();
        }
        let lane = self.pick(model, &[], now).await?;
        Ok(Ticket::new(self, lane))
    }

    /// Whether every backend is ready.
    #[must_use]
    pub fn all_ready(&self) -> bool {
        self.lanes().iter().all(|lane| lane.backend().ready())
    }

    /// What each lane serves.
    #[must_use]
    pub fn models(&self) -> Vec<Model> {
        self.lanes().iter().flat_map(|lane| lane.models()).collect()
    }

    /// Where each lane stands.
    #[must_use]
    pub fn state(&self) -> Vec<LaneState> {
        let now = Instant::now();
        self.lanes().iter().map(|lane| lane.state(now)).collect()
    }

    /// Asks each lane that was configured without models for its list.
    pub async fn learn_models(&self) {
        let lanes = self.lanes();
        futures_util::future::join_all(lanes.iter().map(|lane| lane.learn_models())).await;
    }

    /// The backends, in the order they are tried.
    #[must_use]
    pub fn backends(&self) -> Vec<Arc<dyn Backend>> {
        self.lanes().iter().map(|lane| Arc::clone(lane.backend())).collect()
    }

    /// The lanes as they are now.
    fn lanes(&self) -> Arc<[Arc<Lane>]> {
        Arc::clone(&self.look_in())
    }

    fn look_in(&self) -> RwLockReadGuard<'_, Arc<[Arc<Lane>]>> {
        // Whoever writes replaces the whole at once: there is nothing half done to be found.
        self.lanes.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is a lane beside `using` and those in `tried`.
    fn has_other(&self, tried: &[Arc<Lane>], using: &Lane) -> bool {
        self.look_in().iter().any(|lane| !lane.is(using) && is_untried(lane, tried))
    }

    /// The best lane for `model` that is not in `tried`. Waits for one that is at its limit.
    async fn pick(
        &self,
        model: Option<&str>,
        tried: &[Arc<Lane>],
        now: Instant,
    ) -> Result<lane::Use, RouteError> {
        if let Some(used) = self.look(model, tried, now)? {
            return Ok(used);
        }
        loop {
            // From here on no lane is left unnoticed between the look and the wait.
            let rung = self.bell.rung();
            if let Some(used) = self.look(model, tried, Instant::now())? {
                return Ok(used);
            }
            rung.await;
        }
    }

    /// One look at the lanes: first by priority, then the less loaded of two at random. `None`: all that could take the
    /// request are at their limits.
    fn look(
        &self,
        model: Option<&str>,
        tried: &[Arc<Lane>],
        now: Instant,
    ) -> Result<Option<lane::Use>, RouteError> {
        let lanes = self.look_in();
        if let [only] = &**lanes
            && tried.is_empty()
            && only.serves(model)
            && let Some(used) = only.admit(now)
        {
            return Ok(Some(used));
        }
        let serving = || lanes.iter().filter(|lane| lane.serves(model));
        let untried = |lane: &&Arc<Lane>| is_untried(lane, tried);
        let open = || serving().filter(untried).filter(|lane| lane.would_admit(now));
        let any_ready = open().any(|lane| lane.backend().ready());
        let fit = |lane: &&Arc<Lane>| lane.has_room() && (!any_ready || lane.backend().ready());
        // A better group that is at its limit is worth a worse one, never a failure.
        while let Some(lane) = Self::less_loaded(open().filter(fit)) {
            if let Some(used) = lane.admit(now) {
                return Ok(Some(used));
            }
            // Another request took the last room or the probe meanwhile: look again.
        }
        if open().next().is_some() {
            return Ok(None);
        }
        if serving().next().is_none() {
            return Err(RouteError::ModelNotFound(model.unwrap_or_default().to_owned()));
        }
        let rests = serving().filter_map(|lane| lane.rests_for(now)).min();
        Err(RouteError::Shut { retry_after: rests.unwrap_or(PROBE_PATIENCE) })
    }

    /// Of the first priority group among `lanes`: the less loaded of two taken at random.
    fn less_loaded<'l>(lanes: impl Iterator<Item = &'l Arc<Lane>>) -> Option<&'l Arc<Lane>> {
        let mut lanes = lanes.peekable();
        let group = lanes.peek()?.priority();
        let mut pair: [Option<&Arc<Lane>>; 2] = [None, None];
        // Reservoir sampling of two.
        for (seen, lane) in lanes.take_while(|lane| lane.priority() == group).enumerate() {
            let at = if seen < 2 { seen } else { fastrand::usize(..=seen) };
            if let Some(place) = pair.get_mut(at) {
                *place = Some(lane);
            }
        }
        match pair {
            [only, None] => only,
            pair => pair.into_iter().flatten().min_by_key(|lane| lane.load()),
        }
    }

    fn budget(&self) -> std::sync::MutexGuard<'_, RetryBudget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_untried(lane: &Lane, tried: &[Arc<Lane>]) -> bool {
    !tried.iter().any(|other| lane.is(other))
}

#[cfg(test)]
mod tests;

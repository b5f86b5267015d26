//! A lane: one configured backend with its breaker, its own limit, and what it serves.

mod models;
mod using;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use inferd_engine::Backend;
use serde::Serialize;
use tokio::time::Instant;

use super::breaker::{Breaker, BreakerConfig, BreakerState};
use crate::queue::{Bell, Work};
use models::Learnt;
pub(super) use using::Use;

/// How a lane is used.
#[derive(Debug, Clone, Default)]
pub struct LaneConfig {
    /// What kind of engine it is, for people.
    pub kind: &'static str,
    /// Models served. Empty: whatever the backend says, and any until it said so.
    pub models: Vec<String>,
    /// Other names for models.
    pub aliases: BTreeMap<String, String>,
    /// Lower is tried first.
    pub priority: i32,
    /// Requests at once; `None`: no limit of its own.
    pub concurrency: Option<usize>,
    /// How long it may take to begin an answer before another lane is tried beside it; `None`: for ever.
    pub hedge_after: Option<Duration>,
    /// See [`BreakerConfig`].
    pub breaker: BreakerConfig,
    /// Whether those who answer come and go: while its backend is not ready the lane is as good as not there. What it
    /// runs costs this machine nothing, and a failure is that of one who answers, not the lane's: it takes no slot
    /// of the gate, and its breaker never shuts.
    pub peers: bool,
    /// Whether it is for those alone who name one of its models.
    pub by_name: bool,
}

/// A lane, for people and programs that watch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LaneState {
    /// Its configured name.
    pub name: String,
    /// What kind of engine it is.
    pub kind: &'static str,
    /// `passing`, `shut` or `probing`.
    pub state: &'static str,
    /// Time until it is tried again, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rests_ms: Option<u64>,
    /// Whether the backend is ready.
    pub ready: bool,
    /// Requests it runs.
    pub running: usize,
    /// Models it serves; `*` where it takes any.
    pub models: Vec<String>,
    /// Recent mean time to the first token, in milliseconds.
    pub first_token_ms: f64,
}

pub(super) struct Lane {
    name: String,
    backend: Arc<dyn Backend>,
    config: LaneConfig,
    record: Arc<Record>,
    bell: Arc<Bell>,
}

/// What is known of a lane from its use; it outlives a change of the lane's configuration.
struct Record {
    learnt: Learnt,
    breaker: Mutex<Breaker>,
    in_flight: AtomicUsize,
    first_token_us: AtomicU64,
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").field("name", &self.name).field("config", &self.config).finish_non_exhaustive()
    }
}

impl Lane {
    pub(super) fn new(backend: Arc<dyn Backend>, config: LaneConfig, bell: Arc<Bell>) -> Self {
        let record = Arc::new(Record {
            learnt: Learnt::default(),
            breaker: Mutex::new(Breaker::new(config.breaker)),
            in_flight: AtomicUsize::new(0),
            first_token_us: AtomicU64::new(0),
        });
        Self { name: backend.name().to_owned(), backend, config, record, bell }
    }

    /// This lane under another configuration. What was begun on it counts for both.
    pub(super) fn reconfigured(&self, config: LaneConfig) -> Self {
        self.breaker().reconfigure(config.breaker);
        Self {
            name: self.name.clone(),
            backend: Arc::clone(&self.backend),
            config,
            record: Arc::clone(&self.record),
            bell: Arc::clone(&self.bell),
        }
    }

    /// What it was made of.
    pub(super) fn parts(&self) -> (Arc<dyn Backend>, LaneConfig) {
        (Arc::clone(&self.backend), self.config.clone())
    }

    /// Whether it is the lane of this very backend.
    pub(super) fn is_of(&self, backend: &Arc<dyn Backend>) -> bool {
        Arc::ptr_eq(&self.backend, backend) && self.name == backend.name()
    }

    /// Whether both are the same lane, be it under another configuration.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.record, &other.record)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    pub(super) fn priority(&self) -> i32 {
        self.config.priority
    }

    pub(super) fn hedge_after(&self) -> Option<Duration> {
        self.config.hedge_after
    }

    /// Whether those who would answer come and go; see [`LaneConfig::peers`].
    pub(super) fn is_of_peers(&self) -> bool {
        self.config.peers
    }

    /// Whether none of those who would answer is there.
    pub(super) fn is_deserted(&self) -> bool {
        self.config.peers && !self.backend.ready()
    }

    /// Whether its backend does such work at all.
    pub(super) fn does(&self, work: Work) -> bool {
        match work {
            Work::Generate => true,
            Work::Embed => self.backend.capabilities().embed,
        }
    }

    /// What decides between two lanes: requests in flight, then recent time to the first token.
    pub(super) fn load(&self) -> (usize, u64) {
        (self.record.in_flight.load(Ordering::Relaxed), self.record.first_token_us.load(Ordering::Relaxed))
    }

    pub(super) fn is_limited(&self) -> bool {
        self.config.concurrency.is_some()
    }

    pub(super) fn has_room(&self) -> bool {
        self.config.concurrency.is_none_or(|limit| self.record.in_flight.load(Ordering::Acquire) < limit)
    }

    /// How many more it could take now: where it is about to be probed, one.
    pub(super) fn seats(&self) -> usize {
        let free = self
            .config
            .concurrency
            .map_or(usize::MAX, |limit| limit.saturating_sub(self.record.in_flight.load(Ordering::Acquire)));
        match self.breaker().state() {
            BreakerState::Passing => free,
            BreakerState::Shut | BreakerState::Probing => free.min(1),
        }
    }

    pub(super) fn is_passing(&self) -> bool {
        self.breaker().state() == BreakerState::Passing
    }

    pub(super) fn would_admit(&self, now: Instant) -> bool {
        self.breaker().would_admit(now)
    }

    pub(super) fn rests_for(&self, now: Instant) -> Option<Duration> {
        self.breaker().rests_for(now)
    }

    /// Begins a use of the lane, if it has room and its breaker lets it pass.
    pub(super) fn admit(self: &Arc<Self>, now: Instant) -> Option<Use> {
        let limit = self.config.concurrency.unwrap_or(usize::MAX);
        let mut breaker = self.breaker();
        // Nothing is taken that might have to be given back: whoever looks meanwhile sees what there is.
        if !breaker.would_admit(now) {
            return None;
        }
        self.record
            .in_flight
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |running| {
                (running < limit).then_some(running + 1)
            })
            .ok()?;
        let pass = breaker.admit(now).expect("nobody else has the lock since it would");
        drop(breaker);
        Some(Use::new(Arc::clone(self), pass, now))
    }

    fn leave(&self) {
        self.record.in_flight.fetch_sub(1, Ordering::AcqRel);
        self.bell.ring();
    }

    pub(super) fn state(&self, now: Instant) -> LaneState {
        let breaker = self.breaker();
        LaneState {
            name: self.name.clone(),
            kind: self.config.kind,
            state: match breaker.state() {
                BreakerState::Passing => "passing",
                BreakerState::Shut => "shut",
                BreakerState::Probing => "probing",
            },
            rests_ms: breaker.rests_for(now).map(|rest| u64::try_from(rest.as_millis()).unwrap_or(u64::MAX)),
            ready: self.backend.ready(),
            running: self.record.in_flight.load(Ordering::Relaxed),
            models: self.model_names(),
            first_token_ms: Duration::from_micros(self.record.first_token_us.load(Ordering::Relaxed))
                .as_secs_f64()
                * 1e3,
        }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.record.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

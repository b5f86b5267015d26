//! A lane: one configured backend with its breaker, its own limit, and what it serves.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use inferd_engine::Backend;
use inferd_proto::Model;
use serde::Serialize;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use super::breaker::{Breaker, BreakerConfig, BreakerState, Outcome, Pass};

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
    /// See [`BreakerConfig`].
    pub breaker: BreakerConfig,
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

/// Takes any model.
const ANY: &str = "*";

pub(super) struct Lane {
    name: String,
    backend: Arc<dyn Backend>,
    config: LaneConfig,
    record: Arc<Record>,
    bell: Arc<Bell>,
}

/// Tells those who wait that a lane may have room. All lanes of a router share it.
#[derive(Debug, Default)]
pub(super) struct Bell {
    /// Whether any lane has a limit: where none has, nobody waits.
    limited: AtomicBool,
    rung: Notify,
}

impl Bell {
    pub(super) fn ring(&self) {
        if self.limited.load(Ordering::Acquire) {
            self.rung.notify_waiters();
        }
    }

    /// Rings whatever was before: the lanes are others now.
    pub(super) fn lanes_changed(&self, limited: bool) {
        self.limited.store(limited, Ordering::Release);
        self.rung.notify_waiters();
    }

    /// Resolves when it is rung after this call.
    pub(super) fn rung(&self) -> Notified<'_> {
        self.rung.notified()
    }
}

/// What is known of a lane from its use; it outlives a change of the lane's configuration.
struct Record {
    /// What the backend said it serves.
    learnt: RwLock<Vec<String>>,
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
            learnt: RwLock::default(),
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

    /// Whether it serves `model`; every lane serves a request that names none.
    pub(super) fn serves(&self, model: Option<&str>) -> bool {
        let Some(model) = model else { return true };
        self.config.aliases.contains_key(model)
            || self.with_models(|models| models.is_empty() || models.iter().any(|m| m == model || m == ANY))
    }

    /// The backend's own name for `model`.
    pub(super) fn resolve(&self, model: String) -> String {
        self.config.aliases.get(&model).cloned().unwrap_or(model)
    }

    fn with_models<R>(&self, look: impl FnOnce(&[String]) -> R) -> R {
        if self.config.models.is_empty() {
            look(&self.record.learnt.read().unwrap_or_else(PoisonError::into_inner))
        } else {
            look(&self.config.models)
        }
    }

    fn model_names(&self) -> Vec<String> {
        let mut names = self.with_models(<[String]>::to_vec);
        if names.is_empty() {
            names.push(ANY.to_owned());
        }
        names.extend(self.config.aliases.keys().cloned());
        names
    }

    pub(super) fn models(&self) -> Vec<Model> {
        let ready = self.backend.ready() && self.breaker().state() == BreakerState::Passing;
        let model = |name| Model { name, backend: self.name.clone(), ready };
        self.model_names().into_iter().map(model).collect()
    }

    pub(super) async fn learn_models(&self) {
        if !self.config.models.is_empty() {
            return;
        }
        match self.backend.models().await {
            Ok(models) => *self.record.learnt.write().unwrap_or_else(PoisonError::into_inner) = models,
            Err(error) => tracing::warn!(lane = self.name, %error, "cannot list the models of a lane"),
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

    pub(super) fn would_admit(&self, now: Instant) -> bool {
        self.breaker().would_admit(now)
    }

    pub(super) fn rests_for(&self, now: Instant) -> Option<Duration> {
        self.breaker().rests_for(now)
    }

    /// Begins a use of the lane, if it has room and its breaker lets it pass.
    pub(super) fn admit(self: &Arc<Self>, now: Instant) -> Option<Use> {
        let limit = self.config.concurrency.unwrap_or(usize::MAX);
        self.record
            .in_flight
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |running| {
                (running < limit).then_some(running + 1)
            })
            .ok()?;
        match self.breaker().admit(now) {
            Some(pass) => Some(Use { lane: Arc::clone(self), pass, began: now, settled: false }),
            None => {
                self.leave();
                None
            }
        }
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

/// One use of a lane. Dropped unsettled, it was abandoned.
#[derive(Debug)]
#[must_use]
pub(super) struct Use {
    lane: Arc<Lane>,
    pass: Pass,
    began: Instant,
    settled: bool,
}

/// Weight of a new sample in a lane's time to the first token: one in this many.
const LATENCY_WEIGHT: u64 = 8;

impl Use {
    pub(super) fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    /// Notes that the first token came.
    pub(super) fn first_token(&self, now: Instant) {
        let took = now.saturating_duration_since(self.began).as_micros();
        let sample = u64::try_from(took).unwrap_or(u64::MAX / LATENCY_WEIGHT);
        // Two at once may lose one sample; the mean does not mind.
        let mean = self.lane.record.first_token_us.load(Ordering::Relaxed);
        let next = if mean == 0 { sample } else { mean - mean / LATENCY_WEIGHT + sample / LATENCY_WEIGHT };
        self.lane.record.first_token_us.store(next, Ordering::Relaxed);
    }

    pub(super) fn settle(mut self, outcome: Outcome) {
        self.conclude(outcome);
    }

    fn conclude(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let (now, jitter) = match outcome {
            Outcome::Failed | Outcome::Rest(_) => (Instant::now(), fastrand::f64()),
            // Nothing is timed by these: no need to look at the clock.
            Outcome::Served | Outcome::Abandoned => (self.began, 0.0),
        };
        let was_and_is = {
            let mut breaker = self.lane.breaker();
            let was = breaker.state();
            breaker.settle(self.pass, outcome, now, jitter);
            (was, breaker.state())
        };
        match was_and_is {
            (was, is) if was == is => {}
            (_, BreakerState::Passing) => tracing::info!(lane = self.lane.name, "lane passes again"),
            (_, _) => tracing::warn!(lane = self.lane.name, ?outcome, "lane is shut"),
        }
        self.lane.leave();
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.conclude(Outcome::Abandoned);
    }
}

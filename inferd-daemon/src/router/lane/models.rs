//! What a lane serves: what its configuration says, else what its backend says, asked again from time to time.
//!
//! Invariants:
//! - A backend is asked by one at a time; who needs the answer meanwhile waits for that one.
//! - A list stays until there is a newer one: a backend that does not answer serves what it served before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use inferd_proto::Model;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::{BreakerState, Lane};
use crate::queue::Need;

/// Takes any model.
const ANY: &str = "*";

/// How long a backend may take to list its models.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What the backend said it serves.
#[derive(Debug)]
pub(super) struct Learnt {
    /// Empty: nothing yet, and so anything.
    names: RwLock<Vec<String>>,
    /// When it was asked last and had answered, or had failed to.
    asked: Mutex<Option<Instant>>,
    /// Whether it has said since then that it does not serve what it was said to.
    doubted: AtomicBool,
    /// The turn to ask it.
    turn: Semaphore,
}

impl Default for Learnt {
    fn default() -> Self {
        Self {
            names: RwLock::default(),
            asked: Mutex::default(),
            doubted: AtomicBool::new(false),
            turn: Semaphore::new(1),
        }
    }
}

impl Learnt {
    fn is_older_than(&self, age: Duration) -> bool {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.is_none_or(|asked| asked.elapsed() >= age)
    }
}

impl Lane {
    /// Whether it does the work and serves the model; a request that names none is served by every lane but those
    /// that want to be named.
    pub(in crate::router) fn serves(&self, need: Need<'_>) -> bool {
        if !self.does(need.work) {
            return false;
        }
        let Some(model) = need.model else { return !self.config.by_name };
        self.config.aliases.contains_key(model)
            || self.with_models(|models| models.is_empty() || models.iter().any(|m| m == model || m == ANY))
    }

    /// The backend's own name for `model`.
    pub(in crate::router) fn resolve(&self, model: String) -> String {
        self.config.aliases.get(&model).cloned().unwrap_or(model)
    }

    /// What it serves, for those who choose.
    pub(in crate::router) fn models(&self) -> Vec<Model> {
        let ready = self.backend.ready() && self.breaker().state() == BreakerState::Passing;
        let (backend, kind) = (&self.name, self.config.kind);
        let model = |name| Model { name, backend: backend.clone(), ready, kind: kind.to_owned() };
        self.model_names().into_iter().map(model).collect()
    }

    /// Names of what it serves; [`ANY`] where it takes any.
    pub(super) fn model_names(&self) -> Vec<String> {
        let mut names = self.with_models(<[String]>::to_vec);
        if names.is_empty() {
            names.push(ANY.to_owned());
        }
        names.extend(self.config.aliases.keys().cloned());
        names
    }

    fn with_models<R>(&self, look: impl FnOnce(&[String]) -> R) -> R {
        if self.config.models.is_empty() {
            look(&self.record.learnt.names.read().unwrap_or_else(PoisonError::into_inner))
        } else {
            look(&self.config.models)
        }
    }

    /// Whether its list is the backend's own, and was asked for longer ago than `age`.
    pub(in crate::router) fn list_is_older_than(&self, age: Duration) -> bool {
        self.config.models.is_empty() && self.record.learnt.is_older_than(age)
    }

    /// Whether its list is the backend's own, and it has not given one yet.
    pub(in crate::router) fn has_no_list(&self) -> bool {
        self.config.models.is_empty() && self.with_models(<[String]>::is_empty)
    }

    /// Says that the list is likely to be out of date.
    pub(in crate::router) fn doubt_list(&self) {
        self.record.learnt.doubted.store(true, Ordering::Release);
    }

    /// Whether that was said since this was asked last, or it has never said what it serves.
    pub(in crate::router) fn list_is_wanted(&self) -> bool {
        self.record.learnt.doubted.swap(false, Ordering::AcqRel) || self.list_is_older_than(Duration::MAX)
    }

    /// Asks the backend for its list, unless that was done within `age`, be it by somebody whom this waited for.
    pub(in crate::router) async fn refresh_models(&self, age: Duration) {
        if !self.list_is_older_than(age) {
            return;
        }
        let learnt = &self.record.learnt;
        let _turn = learnt.turn.acquire().await.expect("it is never closed");
        if !learnt.is_older_than(age) {
            return;
        }
        match timeout(ANSWER_MAX, self.backend.models()).await {
            Ok(Ok(models)) => {
                *learnt.names.write().unwrap_or_else(PoisonError::into_inner) = models;
                self.bell.ring();
            }
            // Said once of a lane that is down, not every time it is tried again.
            Ok(Err(error)) if learnt.is_older_than(Duration::MAX) || !self.has_no_list() => {
                tracing::warn!(lane = self.name, %error, "cannot list the models of a lane");
            }
            Ok(Err(error)) => {
                tracing::debug!(lane = self.name, %error, "still cannot list the models of a lane");
            }
            Err(_) => tracing::warn!(lane = self.name, "a lane does not list its models"),
        }
        *learnt.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

//! Where the daemon stands, told to everybody who listens.

use std::sync::{Arc, Mutex, PoisonError};

use inferd_proto::AdminStatus;
use tokio::sync::broadcast;

/// Changes of state that a reader may be behind; one further behind is told the current state.
const CHANGES_KEPT: usize = 64;

/// Where the daemon stands, and who wants to know.
#[derive(Debug, Clone)]
pub(crate) struct Hub(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    now: AdminStatus,
    changes: broadcast::Sender<AdminStatus>,
}

impl Hub {
    pub(crate) fn new() -> Self {
        let changes = broadcast::Sender::new(CHANGES_KEPT);
        Self(Arc::new(Mutex::new(State { now: AdminStatus::Starting, changes })))
    }

    /// Tells everybody, and whoever comes later. Nothing comes after [`AdminStatus::Draining`].
    pub(crate) fn publish(&self, status: AdminStatus) {
        let mut state = self.lock();
        if state.now == AdminStatus::Draining {
            return;
        }
        state.now = status.clone();
        // Nobody listening is no failure.
        state.changes.send(status).ok();
    }

    /// The current state and every change after it.
    pub(super) fn subscribe(&self) -> (AdminStatus, broadcast::Receiver<AdminStatus>) {
        let state = self.lock();
        (state.now.clone(), state.changes.subscribe())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What the runtimes of several servers share.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use super::error::{Limited, RuntimeError};

/// Room for sessions, and their tasks. Clones are handles to one.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    slots: Arc<Semaphore>,
    max: usize,
    pub(super) tasks: TaskTracker,
}

impl Pool {
    pub(super) fn new(sessions_max: usize) -> Self {
        let max = sessions_max.min(Semaphore::MAX_PERMITS);
        Self { slots: Arc::new(Semaphore::new(max)), max, tasks: TaskTracker::new() }
    }

    /// Room for a session, held until it has ended.
    pub(super) fn slot(&self) -> Result<OwnedSemaphorePermit, RuntimeError> {
        let slot = Arc::clone(&self.slots).try_acquire_owned();
        slot.map_err(|_| RuntimeError::Limit { what: Limited::Sessions, max: self.max })
    }
}

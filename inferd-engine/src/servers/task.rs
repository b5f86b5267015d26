//! The task of a session.
//!
//! Invariants:
//! - However the task ends, the session is no longer listed, its room is given back, and then its result is known.
//! - What the model said is kept before the result is known, so that the thread can be gone on with at once.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until, timeout};

use super::api::ServerApi;
use super::id::ThreadKey;
use super::result::{AgentFailure, AgentResult};
use super::session::{Handle, Shared};
use super::turns::Turns;

/// The sessions of a runtime that have not ended.
pub(super) type Sessions = Arc<Mutex<HashMap<ThreadKey, Weak<Handle>>>>;

/// How long a server may take to keep what was said, before the session ends without it.
const KEEP_TIMEOUT: Duration = Duration::from_secs(5);

/// A session that is listed. Dropped, it has ended.
pub(super) struct Listed {
    shared: Arc<Shared>,
    sessions: Sessions,
    slot: Option<OwnedSemaphorePermit>,
    result: AgentResult,
}

impl Listed {
    pub(super) fn new(shared: Arc<Shared>, sessions: Sessions, slot: OwnedSemaphorePermit) -> Self {
        // A task that is dropped before its end was cancelled with the runtime it ran in.
        Self { shared, sessions, slot: Some(slot), result: AgentResult::Cancelled }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.shared.thread_key);
        drop(self.slot.take());
        self.shared.end(std::mem::replace(&mut self.result, AgentResult::Cancelled));
    }
}

/// Runs a session to its end.
pub(super) async fn run(mut listed: Listed, mut turns: Turns, api: Arc<dyn ServerApi>) {
    let shared = Arc::clone(&listed.shared);
    let work = async {
        let result = bounded(&shared, &mut turns).await;
        if result.is_success() {
            keep(&*api, &shared.thread_key, &turns).await;
        }
        result
    };
    listed.result = tokio::select! {
        biased;
        () = shared.cancel.cancelled() => AgentResult::Cancelled,
        result = AssertUnwindSafe(work).catch_unwind() => result.unwrap_or_else(|_panic| {
            tracing::error!(thread = %shared.thread_key, "a session broke down");
            AgentResult::Failure(AgentFailure::Internal)
        }),
    };
    // The generation is freed before anybody hears of the end.
    drop(turns);
    drop(listed);
}

/// Takes turns until the deadline.
async fn bounded(shared: &Shared, turns: &mut Turns) -> AgentResult {
    let deadline = turns.deadline;
    tokio::select! {
        biased;
        () = passing(deadline) => AgentResult::TimedOut,
        result = turns.run(&shared.feed) => result,
    }
}

async fn passing(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn keep(api: &dyn ServerApi, thread_key: &ThreadKey, turns: &Turns) {
    let kept = timeout(KEEP_TIMEOUT, api.keep(thread_key, turns.transcript.added())).await;
    match kept {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(thread = %thread_key, %error, "what was said is not kept"),
        Err(_elapsed) => tracing::warn!(thread = %thread_key, "what was said is not kept: it took too long"),
    }
}

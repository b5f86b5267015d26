//! How long a peer is waited for.
//!
//! Invariant: only the peer's time counts. Before it is asked none passes, and what it reports as progress, such as a
//! person who still considers, begins the time anew, up to a limit on the whole.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::error::SamplingError;
use super::signs::Heard;

/// The limits of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Longest time from being asked, or from the last report of progress, to the answer.
    pub silence_max: Duration,
    /// Longest time for the whole call, whatever the peer reports.
    pub total_max: Duration,
}

impl Default for Patience {
    /// 30 s, and 10 min in all.
    fn default() -> Self {
        Self { silence_max: Duration::from_secs(30), total_max: Duration::from_secs(600) }
    }
}

impl Patience {
    /// Waits for `answer`, whose signs of life are in `heard`. Giving up drops it.
    pub(super) async fn wait<T>(
        self,
        mut heard: Heard,
        answer: impl Future<Output = Result<T, SamplingError>>,
    ) -> Result<T, SamplingError> {
        let mut answer = pin!(answer);
        let begun = Instant::now();
        loop {
            let last = *heard.borrow_and_update();
            let (limit, late) = self.due(begun, last);
            tokio::select! {
                biased;
                answer = &mut answer => return answer,
                Ok(()) = heard.changed() => {}
                () = until(late) => return Err(SamplingError::TimedOut(limit)),
            }
        }
    }

    /// The limit that ends a call begun then and last heard of then, and when. `None` is never.
    fn due(self, begun: Instant, last: Option<Instant>) -> (Duration, Option<Instant>) {
        let total = begun.checked_add(self.total_max);
        let silence = last.map(|last| last.checked_add(self.silence_max));
        match (silence, total) {
            (Some(Some(silence)), Some(total)) if silence < total => (self.silence_max, Some(silence)),
            (Some(silence), None) => (self.silence_max, silence),
            (_, total) => (self.total_max, total),
        }
    }
}

/// Sleeps until then; `None` is never.
pub(super) async fn until(then: Option<Instant>) {
    match then {
        Some(then) => sleep_until(then).await,
        None => std::future::pending().await,
    }
}

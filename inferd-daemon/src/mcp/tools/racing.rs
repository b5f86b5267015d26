//! A call's work beside everything that may end it first.

use std::fmt;

use super::{Call, Failure};
use crate::audit::{Asked, Entry, Outcome};

/// Why a call has no answer.
#[derive(Debug)]
pub(crate) enum Ended<E> {
    /// As any request may.
    Failed(E),
    /// Its caller wants it no more.
    Cancelled,
    /// The daemon stops, and would wait no longer.
    Overdue,
}

impl<E: fmt::Display> Ended<E>
where
    Outcome: for<'e> From<&'e E>,
{
    /// Leaves it in the log, and says it to the caller: a failure as `said`.
    pub(super) fn told(self, entry: &mut Entry, said: impl FnOnce(&E) -> Failure) -> Failure {
        match self {
            Self::Failed(error) => {
                tracing::debug!(%error, "call failed");
                entry.ended(Outcome::from(&error));
                said(&error)
            }
            Self::Cancelled => {
                entry.ended(Outcome::CANCELLED);
                Failure::cancelled()
            }
            Self::Overdue => Failure::draining(),
        }
    }
}

/// Takes a call in, and begins its row. A daemon that drains takes no new one.
pub(super) fn enter<'a>(
    call: &Call,
    received: tokio::time::Instant,
    asked: impl FnOnce() -> Asked<'a>,
) -> Result<Entry, Failure> {
    let mut entry = Entry::open(&call.caller.service, &call.caller.audited, received, asked);
    // Asked of the word itself: nobody who was told of it has a call taken.
    if call.caller.service.stop.is_said() {
        entry.ended(Outcome::Refused("draining"));
        return Err(Failure::draining());
    }
    Ok(entry)
}

/// Does `work` until it ends, its caller wants it no more, or the daemon's patience is over.
pub(crate) async fn race<T, E>(call: &Call, work: impl Future<Output = Result<T, E>>) -> Result<T, Ended<E>> {
    tokio::select! {
        biased;
        outcome = work => outcome.map_err(Ended::Failed),
        () = call.caller.cancelled() => Err(Ended::Cancelled),
        () = call.caller.service.stop.ending() => Err(Ended::Overdue),
    }
}

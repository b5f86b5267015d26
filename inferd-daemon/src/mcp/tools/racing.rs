//! A call's work beside everything that may end it first.

use super::{Call, Failure};
use crate::answer::AnswerError;
use crate::audit::{Asked, Entry, Outcome};

/// Why a call has no answer.
#[derive(Debug)]
pub(super) enum Ended {
    /// As any request may.
    Failed(AnswerError),
    /// Its caller wants it no more.
    Cancelled,
    /// The daemon stops, and would wait no longer.
    Overdue,
}

impl Ended {
    /// Leaves it in the log, and says it to the caller; an error of the model only to who named one.
    pub(super) fn told(self, entry: &mut Entry, named_model: bool) -> Failure {
        match self {
            Self::Failed(error) => {
                tracing::debug!(%error, "call failed");
                entry.ended(Outcome::from(&error));
                Failure::of(&error, named_model)
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

/// Does `work`, which the answer page does, until it ends, its caller wants it no more, or the daemon's patience is
/// over.
pub(super) async fn race<T>(
    call: &Call,
    work: impl Future<Output = Result<T, AnswerError>>,
) -> Result<T, Ended> {
    tokio::select! {
        biased;
        outcome = work => outcome.map_err(Ended::Failed),
        () = call.caller.cancelled() => Err(Ended::Cancelled),
        () = call.caller.service.stop.ending() => Err(Ended::Overdue),
    }
}

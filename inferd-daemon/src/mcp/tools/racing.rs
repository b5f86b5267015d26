//! A call's work beside everything that may end it first.

use crate::answer::AnswerError;

use super::{Call, Failure};

/// Does `work`, which the answer page does, until it ends, its caller wants it no more, or the daemon's patience is
/// over. A daemon that drains takes no new work.
pub(super) async fn race<T>(
    call: &Call,
    named_model: bool,
    work: impl Future<Output = Result<T, AnswerError>>,
) -> Result<T, Failure> {
    let stop = &call.caller.service.stop;
    // Asked of the word itself: nobody who was told of it has a call taken.
    if stop.is_said() {
        return Err(Failure::draining());
    }
    tokio::select! {
        biased;
        outcome = work => outcome.map_err(|error| {
            tracing::debug!(%error, "call failed");
            Failure::of(&error, named_model)
        }),
        () = call.caller.cancelled() => Err(Failure::cancelled()),
        () = stop.ending() => Err(Failure::draining()),
    }
}

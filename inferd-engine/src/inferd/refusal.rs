//! From an `error` frame to a [`GenerateError`]: what the code means and what the other daemon says of it.

use std::time::Duration;

use inferd_proto::ErrorCode;

use super::frame::Frame;
use crate::GenerateError;
use crate::http::Redactor;

/// Reads the `error` frame that ended a request for `model`.
pub(super) fn refusal(frame: &Frame<'_>, model: Option<&str>, redactor: &Redactor) -> GenerateError {
    let reason = redactor.shown(&frame.message);
    let retry_after = frame.retry_after_ms.map(Duration::from_millis);
    match (frame.code(), model) {
        (Some(ErrorCode::QueueFull), _) => GenerateError::Busy { reason, retry_after },
        (Some(ErrorCode::BackendUnavailable), _) if retry_after.is_some() => {
            GenerateError::Busy { reason, retry_after }
        }
        (Some(ErrorCode::InvalidRequest | ErrorCode::FrameTooLarge), _) => {
            GenerateError::InvalidRequest(reason)
        }
        (Some(ErrorCode::ModelNotFound), Some(model)) => GenerateError::ModelNotFound(model.to_owned()),
        // No deadline is passed on, and a model that was not named cannot be missed: that is its fault, not the caller's.
        (
            Some(
                ErrorCode::BackendUnavailable
                | ErrorCode::Internal
                | ErrorCode::DeadlineExceeded
                | ErrorCode::ModelNotFound,
            )
            | None,
            _,
        ) => GenerateError::Unavailable(reason),
    }
}

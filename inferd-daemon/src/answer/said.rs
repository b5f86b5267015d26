//! Every error of a request as what programs are told of it, whatever door it came through.

use std::time::Duration;

use inferd_engine::GenerateError;
use inferd_proto::{ErrorCode, QueueState};

use super::AnswerError;
use crate::queue::Refused;
use crate::router::RouteError;

/// What is said of an error beside its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) code: ErrorCode,
    /// When trying again is worth while.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) queue: Option<QueueState>,
}

impl AnswerError {
    /// What programs are told of it; an error of the model is told only to who named one.
    pub(crate) fn said(&self, named_model: bool) -> Said {
        let plain = |code| Said { code, retry_after: None, queue: None };
        match self {
            Self::Refused(Refused::QueueFull { retry_after, queue }) => {
                Said { code: ErrorCode::QueueFull, retry_after: Some(*retry_after), queue: Some(*queue) }
            }
            Self::Refused(Refused::TooLate { .. }) | Self::DeadlineExceeded { .. } => {
                plain(ErrorCode::DeadlineExceeded)
            }
            Self::Route(RouteError::ModelNotFound(_)) => plain(ErrorCode::ModelNotFound),
            Self::Route(RouteError::NoEmbeddings) => plain(ErrorCode::InvalidRequest),
            Self::Route(RouteError::Shut { retry_after }) => {
                Said { retry_after: Some(*retry_after), ..plain(ErrorCode::BackendUnavailable) }
            }
            Self::Route(RouteError::Lane { error, .. }) | Self::CutShort { error, .. } => match error {
                GenerateError::InvalidRequest(_) => plain(ErrorCode::InvalidRequest),
                GenerateError::ModelNotFound(_) if named_model => plain(ErrorCode::ModelNotFound),
                GenerateError::Busy { retry_after, .. } => {
                    Said { retry_after: *retry_after, ..plain(ErrorCode::BackendUnavailable) }
                }
                GenerateError::NotReady
                | GenerateError::ModelNotFound(_)
                | GenerateError::Declined(_)
                | GenerateError::RefusedCredentials
                | GenerateError::Unavailable(_) => plain(ErrorCode::BackendUnavailable),
                GenerateError::Internal(_) => plain(ErrorCode::Internal),
            },
        }
    }
}

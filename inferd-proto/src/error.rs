//! What can be wrong with a frame, and the codes that say so on the wire.

use serde::{Deserialize, Serialize};

/// Why a request ended in `error`: the machine-readable half of that frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Every running slot and every place in the queue is taken; try again after `retry_after_ms`.
    QueueFull,
    /// No backend could serve the request, or the one that began it did not finish.
    BackendUnavailable,
    /// The request is wrong and will be wrong again.
    InvalidRequest,
    /// The frame passed the size limit; the connection is closed after this.
    FrameTooLarge,
    /// A fault of the daemon.
    Internal,
    /// The request's own `deadline_ms` or `max_wait_ms` passed or cannot be met.
    DeadlineExceeded,
    /// No backend serves the model that the request named.
    ModelNotFound,
}

/// A frame that could not be read, written or accepted.
#[derive(Debug, thiserror::Error)]
pub enum ProtoError {
    /// The frame is larger than [`crate::MAX_FRAME_BYTES`].
    #[error("frame exceeds {} bytes", crate::MAX_FRAME_BYTES)]
    FrameTooLarge,
    /// The transport failed.
    #[error("i/o failed")]
    Io(#[from] std::io::Error),
    /// The line is not JSON, or not JSON of the expected shape.
    #[error("cannot decode frame: {0}")]
    Decode(#[from] serde_json::Error),
    /// The frame is JSON of the right shape but breaks a rule; the text names the field and what was expected.
    #[error("{0}")]
    InvalidRequest(String),
}

impl ProtoError {
    /// The code this error has on the wire.
    #[must_use]
    pub fn to_error_code(&self) -> ErrorCode {
        match self {
            Self::FrameTooLarge => ErrorCode::FrameTooLarge,
            Self::Decode(_) | Self::InvalidRequest(_) => ErrorCode::InvalidRequest,
            Self::Io(_) => ErrorCode::Internal,
        }
    }
}

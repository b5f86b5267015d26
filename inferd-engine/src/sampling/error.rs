//! Why a peer gave no answer.

use std::time::Duration;

use crate::GenerateError;
use crate::http::Redactor;

/// A peer of MCP says so where its user declined.
const USER_REJECTED: i64 = -1;
/// JSON-RPC: the parameters are not as they should be.
const INVALID_PARAMS: i64 = -32602;
/// How long a peer with too much to do is left alone.
const BUSY_FOR: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SamplingError {
    /// The peer's user, or the peer for them, said no to this request.
    #[error("the sampling peer refused: {0}")]
    Refused(String),
    /// Nothing was heard of the peer for so long.
    #[error("the sampling peer did not answer within {0:?}")]
    TimedOut(Duration),
    /// There is an answer, but not one to the request.
    #[error("the sampling peer's answer is not understood: {0}")]
    Malformed(String),
    /// A merged request was answered, but not this task of it.
    #[error("task {index} of a merged request {fault}")]
    Task {
        /// Its `task_index`.
        index: usize,
        /// What is wrong with its answer.
        fault: TaskFault,
    },
    /// Requests asked together were answered, but not this one.
    #[error("the sampling peer left the request unanswered")]
    Unanswered,
    /// The peer answered with an error.
    #[error("the sampling peer failed: {message} (code {code})")]
    Failed {
        /// As JSON-RPC has it.
        code: i64,
        /// What it said, fit to be shown.
        message: String,
    },
    /// The request or its answer was lost on the way.
    #[error("the sampling peer was lost: {0}")]
    Transport(String),
    /// Nobody is there to be asked.
    #[error("no sampling peer is connected")]
    NoPeer,
    /// The peer has as many unanswered calls as it may have.
    #[error("the sampling peer has too many unanswered calls")]
    Busy,
    /// The peer would wait for itself.
    #[error("re-entry: {0}")]
    ReEntry(&'static str),
    /// The request cannot be put to any peer.
    #[error("{0}")]
    Invalid(String),
    /// The request cannot be put to this peer.
    #[error("{0}")]
    Unsuited(String),
    /// The coordinator takes no more calls.
    #[error("the sampling coordinator is shut down")]
    ShutDown,
    /// A fault of ours.
    #[error("the sampling call was lost to a fault of the daemon")]
    Internal,
}

/// What is wrong with the answer to one task of a merged request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TaskFault {
    /// It is not there.
    #[error("was not answered")]
    Missing,
    /// It is there twice.
    #[error("was answered more than once")]
    Twice,
    /// It is no text.
    #[error("was not answered by text")]
    NotText,
    /// The answer ended before it.
    #[error("was cut off")]
    CutOff,
}

impl SamplingError {
    /// What a peer's JSON-RPC error means. The message is made fit to be shown.
    #[must_use]
    pub fn said(code: i64, message: &str) -> Self {
        let message = Redactor::default().shown(message);
        match code {
            USER_REJECTED => Self::Refused(message),
            code => Self::Failed { code, message },
        }
    }

    /// Whether another peer may be asked: this one has not answered, and has not let the call's time pass either.
    #[must_use]
    pub fn lets_another_try(&self) -> bool {
        match self {
            Self::Failed { code, .. } => *code != INVALID_PARAMS,
            Self::Transport(_)
            | Self::NoPeer
            | Self::Busy
            | Self::ReEntry(_)
            | Self::Unsuited(_)
            | Self::ShutDown => true,
            Self::Refused(_)
            | Self::TimedOut(_)
            | Self::Malformed(_)
            | Self::Task { .. }
            | Self::Unanswered
            | Self::Invalid(_)
            | Self::Internal => false,
        }
    }

    /// Whether this says that the merging was at fault, so that each call may do better alone.
    pub(super) fn blames_the_merging(&self) -> bool {
        matches!(self, Self::Malformed(_) | Self::Task { .. } | Self::Failed { .. })
    }
}

impl From<SamplingError> for GenerateError {
    /// A person's no is final: it is nobody's fault, and no other lane is tried behind their back.
    fn from(error: SamplingError) -> Self {
        let text = error.to_string();
        match error {
            SamplingError::Refused(_)
            | SamplingError::Invalid(_)
            | SamplingError::Failed { code: INVALID_PARAMS, .. } => Self::InvalidRequest(text),
            SamplingError::TimedOut(_)
            | SamplingError::Malformed(_)
            | SamplingError::Task { .. }
            | SamplingError::Unanswered
            | SamplingError::Failed { .. }
            | SamplingError::Transport(_) => Self::Unavailable(text),
            SamplingError::NoPeer | SamplingError::ShutDown => Self::NotReady,
            SamplingError::Busy => Self::Busy { reason: text, retry_after: Some(BUSY_FOR) },
            SamplingError::ReEntry(_) | SamplingError::Unsuited(_) => Self::Declined(text),
            SamplingError::Internal => Self::Internal(text),
        }
    }
}

//! Why an agent turn ended without an answer, and what programs are told of it.

use std::time::Duration;

use inferd_engine::servers::{AgentFailure, ApiError, RuntimeError};
use inferd_proto::{ErrorCode, QueueState};

use crate::answer::{AnswerError, Said};
use crate::audit::Outcome;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AgentError {
    /// No session began: there is no such server, room or thread, or one of them cannot be had.
    #[error("{}", words(.0))]
    Refused(#[from] RuntimeError),
    /// The thread is not there, or somebody else's.
    #[error("agent.thread: there is no thread {0:?} here, or not any more")]
    UnknownThread(String),
    /// As many sessions run as may.
    #[error("{reason}")]
    TooMany {
        /// How many may.
        reason: String,
        /// When trying again is worth while.
        retry_after: Duration,
        /// How full the daemon is.
        queue: QueueState,
    },
    /// A step ended as a request of its own would have.
    #[error(transparent)]
    Turn(#[from] AnswerError),
    /// The session ended without an answer.
    #[error("{}", failure(.0))]
    Failed(AgentFailure),
    /// The request's own time ran out.
    #[error("deadline_ms of {} ms passed", after.as_millis())]
    DeadlineExceeded {
        /// The limit.
        after: Duration,
    },
    /// The daemon's limit passed.
    #[error("no answer after {} s, which is as long as an agent turn may take", after.as_secs())]
    TooSlow {
        /// How long it took.
        after: Duration,
    },
    /// Its server is no longer configured.
    #[error("agent.server: it is no longer configured")]
    ServerRemoved,
    /// The daemon stops.
    #[error("draining")]
    Draining,
}

/// What the runtime says, by the names of the wire.
fn words(error: &RuntimeError) -> String {
    match error {
        RuntimeError::UnknownServer(server) => format!("agent.server: there is no server {server:?}"),
        RuntimeError::Api { error: ApiError::UnknownRoom(room), .. } => {
            format!("agent.room: there is no room {room:?}")
        }
        RuntimeError::Api { error: ApiError::Unavailable(reason), .. } => reason.clone(),
        RuntimeError::Tools { error, .. } => error.to_string(),
        RuntimeError::ThreadBusy(_) => "agent.thread: a turn of it is under way".to_owned(),
        error => error.to_string(),
    }
}

fn failure(failure: &AgentFailure) -> String {
    match failure {
        AgentFailure::MaxSteps(steps) => format!("agent.max_steps: no answer after {steps} steps"),
        failure => failure.to_string(),
    }
}

impl AgentError {
    /// What programs are told of it; an error of the model is told only to who named one.
    pub(crate) fn said(&self, named_model: bool) -> Said {
        let plain = |code| Said { code, retry_after: None, queue: None };
        match self {
            Self::Refused(error) => plain(code(error)),
            Self::UnknownThread(_) | Self::Failed(AgentFailure::MaxSteps(_)) => {
                plain(ErrorCode::InvalidRequest)
            }
            Self::TooMany { retry_after, queue, .. } => {
                Said { code: ErrorCode::QueueFull, retry_after: Some(*retry_after), queue: Some(*queue) }
            }
            Self::Turn(error) => error.said(named_model),
            Self::DeadlineExceeded { .. } => plain(ErrorCode::DeadlineExceeded),
            Self::Failed(
                AgentFailure::Generate(_) | AgentFailure::CutShort | AgentFailure::TurnTooLong(_),
            )
            | Self::TooSlow { .. }
            | Self::ServerRemoved
            | Self::Draining => plain(ErrorCode::BackendUnavailable),
            Self::Failed(AgentFailure::Internal) => plain(ErrorCode::Internal),
        }
    }
}

fn code(error: &RuntimeError) -> ErrorCode {
    match error {
        RuntimeError::UnknownServer(_)
        | RuntimeError::InvalidServerId(_)
        | RuntimeError::ThreadBusy(_)
        | RuntimeError::Api { error: ApiError::UnknownRoom(_) | ApiError::UnknownThread(_), .. } => {
            ErrorCode::InvalidRequest
        }
        RuntimeError::Api { error: ApiError::Unavailable(_), .. }
        | RuntimeError::Tools { .. }
        | RuntimeError::SpawnTimedOut { .. }
        | RuntimeError::Disposed => ErrorCode::BackendUnavailable,
        RuntimeError::Limit { .. } => ErrorCode::QueueFull,
        // Nothing here adds a server twice or waits for several sessions.
        RuntimeError::DuplicateServer(_) | RuntimeError::EmptyWait | RuntimeError::WaitTimedOut(_) => {
            ErrorCode::Internal
        }
    }
}

impl From<&AgentError> for Outcome {
    fn from(error: &AgentError) -> Self {
        match error {
            AgentError::Refused(RuntimeError::UnknownServer(_)) => Self::Refused("unknown_server"),
            AgentError::Refused(RuntimeError::ThreadBusy(_)) => Self::Refused("thread_busy"),
            AgentError::Refused(RuntimeError::Api { error: ApiError::UnknownRoom(_), .. }) => {
                Self::Refused("unknown_room")
            }
            AgentError::Refused(_) => Self::Failed("no_session"),
            AgentError::UnknownThread(_) => Self::Refused("unknown_thread"),
            AgentError::TooMany { .. } => Self::Refused("too_many_sessions"),
            AgentError::Turn(error) => Self::from(error),
            AgentError::Failed(AgentFailure::MaxSteps(_)) => Self::Failed("max_steps"),
            AgentError::Failed(AgentFailure::CutShort | AgentFailure::Generate(_)) => {
                Self::Failed("cut_short")
            }
            AgentError::Failed(AgentFailure::TurnTooLong(_)) => Self::Failed("turn_too_long"),
            AgentError::Failed(AgentFailure::Internal) => Self::Failed("internal"),
            AgentError::DeadlineExceeded { .. } | AgentError::TooSlow { .. } => {
                Self::Failed("deadline_exceeded")
            }
            AgentError::ServerRemoved => Self::Cancelled("server_removed"),
            AgentError::Draining => Self::Cancelled("draining"),
        }
    }
}

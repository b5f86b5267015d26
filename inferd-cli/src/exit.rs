//! What the process says to its parent: one exit code for each way a request can end.

use std::process::ExitCode;

use inferd_proto::ErrorCode;

use crate::admin::AdminError;
use crate::client::{Broken, ClientError};

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what was asked.
    Ok = 0,
    /// The tool ran and says that it failed, or not every server answered.
    Failed = 1,
    /// It was asked for something that makes no sense.
    Usage = 2,
    /// [`ErrorCode::QueueFull`]
    QueueFull = 3,
    /// [`ErrorCode::BackendUnavailable`]
    BackendUnavailable = 4,
    /// [`ErrorCode::InvalidRequest`]
    InvalidRequest = 5,
    /// [`ErrorCode::DeadlineExceeded`]
    DeadlineExceeded = 6,
    /// [`ErrorCode::ModelNotFound`]
    ModelNotFound = 7,
    /// [`ErrorCode::FrameTooLarge`]
    FrameTooLarge = 8,
    /// [`ErrorCode::Internal`], or a fault of this program.
    Internal = 9,
    /// No daemon answers, or it went away.
    CannotConnect = 10,
    /// Ctrl-C, as shells number it.
    Interrupted = 130,
    /// SIGTERM at the prompt, as shells number it.
    Terminated = 143,
}

/// The table of codes, as `ask --help` shows it.
pub(crate) const TABLE: &str = "Exit codes:
  0    answered
  2    wrong usage
  3    queue_full           the daemon is busy, try again
  4    backend_unavailable  no model could answer
  5    invalid_request      the daemon or the model does not accept it
  6    deadline_exceeded    not answered in the time allowed
  7    model_not_found      no such model
  8    frame_too_large      the prompt is too large
  9    internal             a fault of the daemon
  10   no daemon answers, or the connection was lost
  130  interrupted";

/// The table of codes, as `call --help` shows it.
pub(crate) const TABLE_OF_CALL: &str = "Exit codes:
  0    called
  1    the tool ran and says that it failed
  2    wrong usage
  3    queue_full           the daemon is busy, try again
  4    backend_unavailable  the tool's server does not answer
  5    invalid_request      no such tool, or no servers
  6    deadline_exceeded    no result in the time allowed
  8    frame_too_large      the arguments are too large
  9    internal             a fault of the daemon
  10   no daemon answers, or the connection was lost
  130  interrupted";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<ErrorCode> for Exit {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::QueueFull => Self::QueueFull,
            ErrorCode::BackendUnavailable => Self::BackendUnavailable,
            ErrorCode::InvalidRequest => Self::InvalidRequest,
            ErrorCode::DeadlineExceeded => Self::DeadlineExceeded,
            ErrorCode::ModelNotFound => Self::ModelNotFound,
            ErrorCode::FrameTooLarge => Self::FrameTooLarge,
            ErrorCode::Internal => Self::Internal,
        }
    }
}

impl From<&AdminError> for Exit {
    fn from(error: &AdminError) -> Self {
        match error {
            AdminError::Refused { code, .. } => code.map_or(Self::Internal, Self::from),
            AdminError::Connect { .. }
            | AdminError::Io(_)
            | AdminError::NotAdmin(_)
            | AdminError::Closed
            | AdminError::Silent => Self::CannotConnect,
        }
    }
}

impl From<&ClientError> for Exit {
    fn from(error: &ClientError) -> Self {
        match error {
            ClientError::Broken(Broken::Said { code, .. }) => (*code).into(),
            ClientError::Refused(refusal) => refusal.code.into(),
            ClientError::Connect { .. } | ClientError::Broken(_) | ClientError::NoHello(_) => {
                Self::CannotConnect
            }
            ClientError::FrameTooLarge => Self::FrameTooLarge,
            ClientError::Cancelled => Self::Interrupted,
            ClientError::IdInUse(_) | ClientError::Encode(_) => Self::Internal,
        }
    }
}

//! One call, as it is kept.

use crate::answer::AnswerError;
use crate::queue::Refused;
use crate::router::RouteError;
use crate::upstream::CallError;
use inferd_engine::GenerateError;

use super::caller::Caller;
use super::name::Name;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An answer.
    Generate,
    /// Vectors.
    Embed,
    /// An answer, in as many steps as it takes.
    Agent,
    /// A tool's result.
    Call,
}

impl Kind {
    /// Its name in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Embed => "embed",
            Self::Agent => "agent",
            Self::Call => "call",
        }
    }
}

/// What came of it, with the reason where it was not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Served,
    /// It was not let in, or nothing here serves it.
    Refused(&'static str),
    /// A lane had it and failed, or its time ran out.
    Failed(&'static str),
    /// Its client did not want it any more, or the daemon stopped.
    Cancelled(&'static str),
}

impl Outcome {
    /// Its client said so.
    pub const CANCELLED: Self = Self::Cancelled("cancelled");

    /// Its name in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
            Self::Cancelled(_) => "cancelled",
        }
    }

    /// Why.
    #[must_use]
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Served => None,
            Self::Refused(reason) | Self::Failed(reason) | Self::Cancelled(reason) => Some(reason),
        }
    }
}

impl From<&AnswerError> for Outcome {
    fn from(error: &AnswerError) -> Self {
        match error {
            AnswerError::Refused(Refused::QueueFull { .. }) => Self::Refused("queue_full"),
            AnswerError::Refused(Refused::TooLate { .. }) => Self::Refused("too_late"),
            AnswerError::Route(RouteError::ModelNotFound(_)) => Self::Refused("model_not_found"),
            AnswerError::Route(RouteError::NoEmbeddings) => Self::Refused("no_embeddings"),
            AnswerError::Route(RouteError::Shut { .. }) => Self::Refused("lanes_shut"),
            AnswerError::Route(RouteError::Lane { error, .. }) => Self::Failed(reason(error)),
            AnswerError::CutShort { .. } => Self::Failed("cut_short"),
            AnswerError::DeadlineExceeded { .. } => Self::Failed("deadline_exceeded"),
        }
    }
}

impl From<&CallError> for Outcome {
    fn from(error: &CallError) -> Self {
        match error {
            CallError::Unknown { .. } => Self::Refused("unknown_tool"),
            CallError::NotConnected { .. } => Self::Refused("not_connected"),
            CallError::Busy { .. } => Self::Refused("busy"),
            CallError::Lost { .. } => Self::Failed("lost"),
            CallError::TimedOut { .. } => Self::Failed("timed_out"),
            CallError::Refused { .. } if error.blames_the_call() => Self::Failed("invalid_request"),
            CallError::Refused { .. } => Self::Failed("refused"),
            CallError::Malformed { .. } => Self::Failed("malformed"),
        }
    }
}

fn reason(error: &GenerateError) -> &'static str {
    match error {
        GenerateError::InvalidRequest(_) => "invalid_request",
        GenerateError::ModelNotFound(_) => "model_not_found",
        GenerateError::Busy { .. } => "busy",
        GenerateError::NotReady => "not_ready",
        GenerateError::Declined(_) => "declined",
        GenerateError::RefusedCredentials => "refused_credentials",
        GenerateError::Unavailable(_) => "unavailable",
        GenerateError::Internal(_) => "internal",
    }
}

/// One call, when it has ended.
#[derive(Debug, Clone)]
pub struct Row {
    /// When it came, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who asked.
    pub caller: Caller,
    /// For what.
    pub kind: Kind,
    /// The lane that had it last, if any had.
    pub lane: Option<Name>,
    /// The model it named, else the one that answered.
    pub model: Option<Name>,
    /// What came of it.
    pub outcome: Outcome,
    /// Until it had its lane.
    pub queue_ms: Option<u32>,
    /// Until its first token.
    pub first_token_ms: Option<u32>,
    /// Until it ended.
    pub total_ms: u32,
    /// Tokens read.
    pub prompt_tokens: u32,
    /// Tokens written.
    pub completion_tokens: u32,
    /// Bytes of text in the request, rounded up to a power of two.
    pub request_bytes: u64,
    /// Bytes of text in the answer, rounded up to a power of two.
    pub answer_bytes: u64,
}

/// `bytes` rounded up to a power of two; nothing stays nothing.
pub(super) fn rounded(bytes: usize) -> u64 {
    match bytes {
        0 => 0,
        // The database counts to 2⁶³.
        bytes => (bytes as u64).min(1 << 62).next_power_of_two(),
    }
}

//! What a session comes to.

use inferd_proto::{StopReason, Usage};

use crate::GenerateError;

/// See the module. New fields may be added to a variant; match with `..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentResult {
    /// The model answered.
    Success {
        /// The answer: what was said in the last turn.
        text: String,
        /// Model turns taken.
        steps: u32,
        /// Tokens of all turns.
        usage: Usage,
        /// Why the last turn ended.
        stop_reason: StopReason,
        /// The model that took it, where the engine says so.
        model: Option<String>,
    },
    /// There is no answer.
    Failure(AgentFailure),
    /// It was cancelled, its last handle was dropped, its server removed, or its runtime disposed of.
    Cancelled,
    /// Its deadline passed; from a wait with a time-out: it had not ended by then.
    TimedOut,
}

impl AgentResult {
    /// Whether there is an answer.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Success { .. })
    }

    /// The answer, if there is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Success { text, .. } => Some(text),
            Self::Failure(_) | Self::Cancelled | Self::TimedOut => None,
        }
    }
}

/// Why a session has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentFailure {
    /// A turn did not begin, or broke off.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// A turn just ended, without its end.
    #[error("the model's turn was cut short")]
    CutShort,
    /// The model called tools in the last turn that it had. They were not run, since nobody would have read of them.
    #[error("no answer after {0} steps")]
    MaxSteps(u32),
    /// The model would not stop talking.
    #[error("the model said more than {0} bytes in one turn")]
    TurnTooLong(usize),
    /// A fault of ours.
    #[error("the session was lost to a fault of the daemon")]
    Internal,
}

//! The frames of an answer.

use serde::{Deserialize, Serialize};

use crate::{ErrorCode, ToolCall};

/// One frame of the answer to a request: any number of `status` and `token`, then one `done` or `error`.
///
/// New fields may be added to a variant; match with `..`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Response {
    /// Where the request stands; on the admin socket, where the daemon stands.
    Status {
        /// The request's id, or `admin`.
        id: String,
        /// `queued`, `running` or `retrying`; of a tool `calling`, `called` or `failed`.
        status: String,
        /// With `queued`: the place in the queue, 1 is next.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        position: Option<u32>,
        /// With `running`: the lane that took the request.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        backend: Option<String>,
        /// In an agent turn: which of its model turns this is about, from 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<u32>,
        /// With `calling`, `called` and `failed`: the tool, spelt `server::tool`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tool: Option<String>,
        /// With `calling`: how far the tool says it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        progress: Option<Progress>,
    },
    /// The next piece of the answer.
    Token {
        /// The request's id.
        id: String,
        /// Its text.
        content: String,
        /// Set where the text is not part of the answer itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kind: Option<TokenKind>,
    },
    /// The answer is complete.
    Done {
        /// The request's id.
        id: String,
        /// All of the answer.
        content: String,
        /// Tokens read and written.
        usage: Usage,
        /// Why it ended.
        stop_reason: StopReason,
        /// The lane that answered.
        backend: String,
        /// The model that answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        /// Tools the model wants called.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<ToolCall>,
        /// Where the time went.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timings: Option<Timings>,
        /// Of an agent turn: the conversation it belongs to, for the next turn to name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thread: Option<String>,
        /// Of an agent turn: how many model turns it took.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        steps: Option<u32>,
    },
    /// There is no answer, or no more of it.
    Error {
        /// The request's id, empty where it could not be read.
        id: String,
        /// For programs.
        code: ErrorCode,
        /// For people.
        message: String,
        /// When trying again is worth while, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
        /// With `queue_full`: how full it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        queue: Option<QueueState>,
    },
}

impl Response {
    /// A `status` frame that says no more than the word.
    #[must_use]
    pub fn status(id: impl Into<String>, status: impl Into<String>) -> Self {
        let (id, status) = (id.into(), status.into());
        Self::Status { id, status, position: None, backend: None, step: None, tool: None, progress: None }
    }

    /// The id of the request that this frame answers.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Status { id, .. }
            | Self::Token { id, .. }
            | Self::Done { id, .. }
            | Self::Error { id, .. } => id,
        }
    }

    /// Whether no frame of this request follows.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Error { .. })
    }
}

/// How far a tool is, in its own measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// How much is done; it only grows.
    pub done: f64,
    /// How much there is to do, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<f64>,
    /// What is being done, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What a token is when it is not answer text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// The model's reasoning.
    Thinking,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The model was done.
    End,
    /// `max_tokens` was reached.
    Length,
    /// The caller cancelled it.
    Cancelled,
    /// Generation broke off.
    Error,
    /// The model wants tools called.
    ToolCalls,
}

impl StopReason {
    /// The reason as it stands on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Length => "length",
            Self::Cancelled => "cancelled",
            Self::Error => "error",
            Self::ToolCalls => "tool_calls",
        }
    }
}

/// Tokens of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens generated.
    pub completion_tokens: u32,
}

/// How full the daemon is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueState {
    /// Requests running.
    pub running: usize,
    /// Requests waiting.
    pub waiting: usize,
    /// Requests that may wait.
    pub capacity: usize,
}

/// Where the time of one request went, in milliseconds from its receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Timings {
    /// Until it ran.
    pub queue_ms: u64,
    /// Until its first token; absent where none came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<u64>,
    /// Until its last frame.
    pub total_ms: u64,
}

//! The trait that everything which generates implements, and what it may say.

use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::Stream;
use inferd_proto::{EmbedRequest, EmbedUsage, Resolved, StopReason, ToolCall, Usage};

use crate::sampling::Waiting;

/// One event of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenEvent {
    /// The next piece of the answer; whole characters, never empty.
    Token(String),
    /// The next piece of the reasoning behind it.
    Thinking(String),
    /// The answer is complete. Nothing follows.
    Done {
        /// Why it ended.
        stop_reason: StopReason,
        /// Tokens read and written.
        usage: Usage,
        /// Tools the model wants called.
        tool_calls: Vec<ToolCall>,
        /// The model that answered, where the engine says so.
        model: Option<String>,
    },
    /// The generation broke off. Nothing follows.
    Failed(GenerateError),
}

/// A generation under way. Dropping it cancels the generation and closes its connection within 10 ms.
pub type TokenStream = Pin<Box<dyn Stream<Item = TokenEvent> + Send>>;

/// Why there is no answer, or no more of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// The backend is not there yet.
    #[error("backend is not ready")]
    NotReady,
    /// The backend does not accept this request, now or later. The text is the engine's reason, fit to be shown.
    #[error("{0}")]
    InvalidRequest(String),
    /// The backend does not serve this model.
    #[error("model {0} is not served")]
    ModelNotFound(String),
    /// The backend is the wrong one for this request, without fault of either; another may take it.
    #[error("{0}")]
    Declined(String),
    /// The backend does not accept our key.
    #[error("refused our credentials")]
    RefusedCredentials,
    /// The backend has too much to do (429, or 503 with Retry-After).
    #[error("busy: {reason}")]
    Busy {
        /// What it said.
        reason: String,
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// The backend failed: no connection, a time-out, a 5xx, an answer cut short or not understood.
    #[error("{0}")]
    Unavailable(String),
    /// A fault of ours.
    #[error("{0}")]
    Internal(String),
}

/// Who a failed attempt is held against, and whether another lane may try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The request is at fault: no lane is blamed and none other is tried.
    Caller,
    /// This lane cannot, without fault: another may.
    Nobody,
    /// The lane failed: its breaker counts it, another may try.
    Lane,
    /// The lane wants to be left alone for this long, or for the breaker's cooldown: another may try.
    Rest(Option<Duration>),
}

impl GenerateError {
    /// Who is to blame. The one place that decides it.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::InvalidRequest(_) => Blame::Caller,
            Self::NotReady | Self::ModelNotFound(_) | Self::Declined(_) => Blame::Nobody,
            Self::Unavailable(_) | Self::Internal(_) | Self::Busy { retry_after: None, .. } => Blame::Lane,
            Self::Busy { retry_after, .. } => Blame::Rest(*retry_after),
            Self::RefusedCredentials => Blame::Rest(None),
        }
    }
}

/// What a backend can do beyond text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a feature of its own, none excludes another")]
pub struct Capabilities {
    /// It takes images.
    pub vision: bool,
    /// It calls tools.
    pub tools: bool,
    /// It keeps reasoning apart from the answer.
    pub thinking: bool,
    /// It makes embeddings.
    pub embed: bool,
    /// It constrains answers by a GBNF grammar.
    pub grammar: bool,
}

/// Vectors for the texts of one [`EmbedRequest`].
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// One vector a text, in the order of the input, all of one length.
    pub embeddings: Vec<Vec<f32>>,
    /// The model that made them.
    pub model: String,
    /// Tokens read.
    pub usage: EmbedUsage,
}

/// What generates. Shared by all requests: every method may run many times at once.
#[async_trait]
pub trait Backend: Send + Sync {
    /// The configured, unique name; `done` frames carry it.
    fn name(&self) -> &str;

    /// Whether a request may be sent now.
    fn ready(&self) -> bool;

    /// What it can do beyond text.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Begins a generation. The future resolves when the engine has accepted the request; dropping it cancels.
    ///
    /// # Errors
    /// [`GenerateError`] where the engine did not accept it; later failures are [`TokenEvent::Failed`].
    async fn generate(&self, request: Resolved) -> Result<TokenStream, GenerateError>;

    /// Embeds the texts of `request`.
    ///
    /// # Errors
    /// [`GenerateError::InvalidRequest`] where the backend makes no embeddings, else as for `generate`.
    async fn embed(&self, _request: EmbedRequest) -> Result<Embedded, GenerateError> {
        Err(GenerateError::InvalidRequest(format!("backend {} makes no embeddings", self.name())))
    }

    /// The models it serves, asked afresh.
    ///
    /// # Errors
    /// [`GenerateError`] where they cannot be learnt.
    async fn models(&self) -> Result<Vec<String>, GenerateError> {
        Ok(Vec::new())
    }

    /// To be asked before a request that came by `session` of an MCP client waits for a permit: who holds one may wait for
    /// an answer of that very client. What is returned is held until the request has its permit.
    ///
    /// # Errors
    /// [`GenerateError::Declined`] while somebody waits for that client.
    fn stand_off(&self, _session: &str) -> Result<Vec<Waiting>, GenerateError> {
        Ok(Vec::new())
    }

    /// Lets go of what it holds (connections, memory) within `timeout`.
    ///
    /// # Errors
    /// [`GenerateError`] where that failed.
    async fn stop(&self, _timeout: Duration) -> Result<(), GenerateError> {
        Ok(())
    }
}

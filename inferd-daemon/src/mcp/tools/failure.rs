//! What kept a tool from its result, told to the caller in the result's place.

use std::time::Duration;

use inferd_proto::{ErrorCode, ProtoError, QueueState};
use rmcp::model::{CallToolResult, ContentBlock};
use serde::Serialize;

use crate::agent::AgentError;
use crate::answer::{AnswerError, Said};
use crate::upstream::CallError;

/// A tool's error: its text for people and models, the same in fields for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Failure {
    code: ErrorCode,
    message: String,
    /// When trying again is worth while, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<QueueState>,
}

impl Failure {
    /// One of the request itself; `message` names the field.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::plain(ErrorCode::InvalidRequest, message)
    }

    /// The daemon stops.
    pub(crate) fn draining() -> Self {
        Self::plain(ErrorCode::BackendUnavailable, "draining")
    }

    /// There are as many of something as there may be, which `message` names.
    pub(crate) fn busy(message: impl Into<String>) -> Self {
        Self::plain(ErrorCode::QueueFull, message)
    }

    /// The caller wants no answer any more. Nobody reads this.
    pub(crate) fn cancelled() -> Self {
        Self::plain(ErrorCode::Internal, "cancelled")
    }

    /// A request that ended without its answer; an error of the model is told only to who named one.
    pub(crate) fn of(error: &AnswerError, named_model: bool) -> Self {
        let Said { code, retry_after, queue } = error.said(named_model);
        Self { code, message: error.to_string(), retry_after_ms: retry_after.map(millis), queue }
    }

    /// An agent turn that ended without its answer.
    pub(crate) fn of_turn(error: &AgentError, named_model: bool) -> Self {
        let Said { code, retry_after, queue } = error.said(named_model);
        Self { code, message: error.to_string(), retry_after_ms: retry_after.map(millis), queue }
    }

    /// The same, where a field of the wire's object `of` is an argument of its own.
    pub(super) fn flattened(mut self, of: &str) -> Self {
        if let Some(message) = self.message.strip_prefix(of).and_then(|rest| rest.strip_prefix('.')) {
            self.message = message.to_owned();
        }
        self
    }

    /// A tool of an upstream server that was not called, or has no result.
    pub(crate) fn of_call(error: &CallError) -> Self {
        let code =
            if error.blames_the_call() { ErrorCode::InvalidRequest } else { ErrorCode::BackendUnavailable };
        Self::plain(code, error.to_string())
    }

    fn plain(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_ms: None, queue: None }
    }
}

impl From<ProtoError> for Failure {
    fn from(error: ProtoError) -> Self {
        Self::plain(error.to_error_code(), error.to_string())
    }
}

impl From<Failure> for CallToolResult {
    fn from(failure: Failure) -> Self {
        let value = serde_json::to_value(&failure).expect("plain data is JSON");
        let code = value["code"].as_str().unwrap_or_default();
        let text = match failure.retry_after_ms {
            Some(after) => format!("{code}: {}; try again in {after} ms", failure.message),
            None => format!("{code}: {}", failure.message),
        };
        let mut result = CallToolResult::error(vec![ContentBlock::text(text)]);
        result.structured_content = Some(value);
        result
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

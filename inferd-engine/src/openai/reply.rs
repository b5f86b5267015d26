//! Puts an answer together: chunks come in, events leave, and what only the end can say is kept until then.
//!
//! Invariant: what is kept is bounded by [`CALLS_MAX`] and [`ARGUMENTS_BYTES_MAX`].

use std::borrow::Cow;

use hyper::StatusCode;
use hyper::header::HeaderMap;
use inferd_proto::{FunctionCall, FunctionTag, StopReason, ToolCall, Usage};

use super::pattern::{Kind, Pattern};
use super::wire::{CallDelta, Choice, Chunk, Delta, Fault, Text};
use crate::http::{Redactor, blame};
use crate::{GenerateError, TokenEvent};

/// The most tool calls of one answer.
const CALLS_MAX: usize = 128;
/// The most bytes of all their names and arguments.
const ARGUMENTS_BYTES_MAX: usize = 8 * 1024 * 1024;

#[derive(Default)]
pub(super) struct Reply {
    pattern: Pattern,
    finish: Option<StopReason>,
    usage: Option<Usage>,
    model: Option<String>,
    calls: Vec<Call>,
    arguments_bytes: usize,
    pieces: u32,
    begun: bool,
}

struct Call {
    index: Option<usize>,
    call: ToolCall,
}

/// What one chunk says: reasoning comes before the answer.
#[derive(Default)]
pub(super) struct Said {
    thinking: Option<String>,
    token: Option<String>,
}

impl Said {
    /// The next event of it.
    pub(super) fn next(&mut self) -> Option<TokenEvent> {
        let thinking = self.thinking.take().map(TokenEvent::Thinking);
        thinking.or_else(|| self.token.take().map(TokenEvent::Token))
    }
}

impl Reply {
    /// Reads the JSON of a chunk, or of a whole answer.
    pub(super) fn read(&mut self, json: &[u8], redactor: &Redactor) -> Result<Said, GenerateError> {
        if let Some(text) = self.pattern.read(json) {
            let text = Some(text).filter(|text| !text.is_empty());
            return Ok(match self.pattern.kind {
                Kind::Answer => self.say(None, text),
                Kind::Thinking => self.say(text, None),
            });
        }
        let chunk = serde_json::from_slice(json).map_err(|error| {
            GenerateError::Unavailable(format!(
                "the answer is not understood: {}",
                redactor.shown(&error.to_string())
            ))
        })?;
        self.take(json, chunk, redactor)
    }

    fn take(&mut self, json: &[u8], chunk: Chunk<'_>, redactor: &Redactor) -> Result<Said, GenerateError> {
        if let Some(fault) = chunk.error {
            return Err(fault_of(fault, redactor));
        }
        if let Some(counts) = chunk.usage {
            let count = |tokens: Option<u64>| u32::try_from(tokens.unwrap_or(0)).unwrap_or(u32::MAX);
            self.usage = Some(Usage {
                prompt_tokens: count(counts.prompt_tokens),
                completion_tokens: count(counts.completion_tokens),
            });
        }
        if let (None, Some(Text(model))) = (&self.model, chunk.model) {
            self.model = Some(model.into_owned()).filter(|model| !model.is_empty());
        }
        let Some(Choice { delta, message, finish_reason }) = chunk.choices.0 else {
            return Ok(Said::default());
        };
        self.begun = true;
        if let (None, Some(reason)) = (self.finish, finish_reason.filter(|reason| !reason.is_empty())) {
            self.finish = Some(stop_reason(&reason.0));
        }
        let Some(Delta { content, refusal, reasoning_content, reasoning, tool_calls }) = delta.or(message)
        else {
            return Ok(Said::default());
        };
        let says_text_only = tool_calls.is_none();
        for call in tool_calls.into_iter().flatten() {
            self.call(call)?;
        }
        let thinking = spoken(reasoning_content).or_else(|| spoken(reasoning));
        let token = spoken(content).or_else(|| spoken(refusal));
        match (&thinking, &token) {
            (None, Some(Cow::Borrowed(text))) if says_text_only => {
                self.pattern.learn(json, Kind::Answer, text);
            }
            (Some(Cow::Borrowed(text)), None) if says_text_only => {
                self.pattern.learn(json, Kind::Thinking, text);
            }
            _ => {}
        }
        Ok(self.say(thinking, token))
    }

    fn say(&mut self, thinking: Option<Cow<'_, str>>, token: Option<Cow<'_, str>>) -> Said {
        let pieces = u32::from(thinking.is_some()) + u32::from(token.is_some());
        self.pieces = self.pieces.saturating_add(pieces);
        Said { thinking: thinking.map(Cow::into_owned), token: token.map(Cow::into_owned) }
    }

    /// Whether there was any answer.
    pub(super) fn is_begun(&self) -> bool {
        self.begun
    }

    /// Whether the model said that it is done.
    pub(super) fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// The last event. Where the server counted no tokens, those sent are counted.
    pub(super) fn done(&mut self) -> TokenEvent {
        let tool_calls: Vec<ToolCall> =
            std::mem::take(&mut self.calls).into_iter().enumerate().map(named).collect();
        let stop_reason = match self.finish.unwrap_or(StopReason::End) {
            // Some servers call tools and say `stop`.
            StopReason::End if !tool_calls.is_empty() => StopReason::ToolCalls,
            reason => reason,
        };
        let counted = Usage { prompt_tokens: 0, completion_tokens: self.pieces };
        let usage = self.usage.unwrap_or(counted);
        TokenEvent::Done { stop_reason, usage, tool_calls, model: self.model.take() }
    }

    fn call(&mut self, delta: CallDelta<'_>) -> Result<(), GenerateError> {
        let id = delta.id.filter(|id| !id.is_empty());
        let (name, arguments) =
            delta.function.map_or((None, None), |function| (function.name, function.arguments));
        // A fragment belongs to the last call with its index, or to the last one if it has none. An id that is not
        // that call's begins another: some servers give every call the index 0, or none.
        let open = self.calls.iter().rposition(|call| delta.index.is_none() || call.index == delta.index);
        let open = open.filter(|&at| id.as_ref().is_none_or(|id| id.0 == self.calls[at].call.id));
        let at = match open {
            Some(at) => at,
            None if self.calls.len() == CALLS_MAX => return Err(too_much()),
            None => {
                let function = FunctionCall { name: String::new(), arguments: String::new() };
                let id = id.map(|id| id.0.into_owned()).unwrap_or_default();
                let call = ToolCall { id, r#type: FunctionTag::Function, function };
                self.calls.push(Call { index: delta.index, call });
                self.calls.len() - 1
            }
        };
        let function = &mut self.calls[at].call.function;
        for (text, into) in [(name, &mut function.name), (arguments, &mut function.arguments)] {
            let Some(Text(text)) = text else { continue };
            self.arguments_bytes += text.len();
            if self.arguments_bytes > ARGUMENTS_BYTES_MAX {
                return Err(too_much());
            }
            into.push_str(&text);
        }
        Ok(())
    }
}

/// Empty text is none.
fn spoken(text: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    text.filter(|text| !text.is_empty()).map(|text| text.0)
}

/// A call under the id that it came with, or under one of ours.
fn named((number, Call { mut call, .. }): (usize, Call)) -> ToolCall {
    if call.id.is_empty() {
        call.id = format!("call_{number}");
    }
    call
}

/// An answer that a filter or a fault upstream cut off is not whole, so it must not pass for one that ended.
fn stop_reason(reason: &str) -> StopReason {
    match reason {
        "length" | "max_tokens" => StopReason::Length,
        "tool_calls" | "function_call" => StopReason::ToolCalls,
        "content_filter" | "error" | "abort" => StopReason::Error,
        _ => StopReason::End,
    }
}

fn too_much() -> GenerateError {
    GenerateError::Unavailable("the model's tool calls have no end".to_owned())
}

/// An error in the place of an answer. It came with the status 200, but may name the one it should have had.
fn fault_of(fault: Fault<'_>, redactor: &Redactor) -> GenerateError {
    let (message, kind, code) = match fault {
        Fault::Object { message, r#type, code } => (message, r#type, code),
        Fault::Text(text) => (Some(text), None, None),
    };
    let reason = redactor.shown(message.as_ref().map_or("an error without a message", |text| &text.0));
    let status = code
        .and_then(|code| code.as_u64())
        .and_then(|code| StatusCode::from_u16(u16::try_from(code).ok()?).ok())
        .filter(|status| (status.is_client_error() || status.is_server_error()) && status.as_u16() != 404);
    match (status, kind) {
        (Some(status), _) => blame(status, &HeaderMap::new(), reason, ""),
        (None, Some(kind)) if kind.0 == "invalid_request_error" => GenerateError::InvalidRequest(reason),
        (None, _) => GenerateError::Unavailable(reason),
    }
}

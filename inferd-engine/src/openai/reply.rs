//! Puts an answer together: chunks come in, what they say leaves, and what only the end can say is kept until then.

use std::borrow::Cow;

use http::StatusCode;
use http::header::HeaderMap;
use inferd_proto::{StopReason, Usage};

use super::wire::{Choice, Chunk, Delta, Fault};
use crate::http::{Redactor, blame};
use crate::remote::{Calls, Dialect, Heard, Kind, Pattern, Said, Text, count, not_understood, spoken};
use crate::{GenerateError, TokenEvent};

/// One answer, as far as it has come.
#[derive(Default)]
pub(super) struct Reply {
    pattern: Pattern,
    finish: Option<StopReason>,
    usage: Option<Usage>,
    model: Option<String>,
    calls: Calls,
    pieces: u32,
    begun: bool,
}

impl Dialect for Reply {
    const NO_END: &'static str = "neither a finish_reason nor [DONE]";

    /// Takes a chunk, or all of an answer. Data that is no JSON object is of some other protocol.
    fn hear(&mut self, piece: &[u8], redactor: &Redactor) -> Result<Heard, GenerateError> {
        let piece = piece.trim_ascii();
        let said = if piece.first() == Some(&b'{') { self.read(piece, redactor)? } else { Said::default() };
        Ok(Heard { said, last: piece == b"[DONE]" })
    }

    fn is_begun(&self) -> bool {
        self.begun
    }

    fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// Where the server counted no tokens, those sent are counted.
    fn done(&mut self) -> TokenEvent {
        let tool_calls = self.calls.take();
        let stop_reason = match self.finish.unwrap_or(StopReason::End) {
            // Some servers call tools and say `stop`.
            StopReason::End if !tool_calls.is_empty() => StopReason::ToolCalls,
            reason => reason,
        };
        let counted = Usage { prompt_tokens: 0, completion_tokens: self.pieces };
        let usage = self.usage.unwrap_or(counted);
        TokenEvent::Done { stop_reason, usage, tool_calls, model: self.model.take() }
    }
}

impl Reply {
    fn read(&mut self, json: &[u8], redactor: &Redactor) -> Result<Said, GenerateError> {
        if let Some(text) = self.pattern.read(json) {
            let text = Some(text).filter(|text| !text.is_empty());
            return Ok(match self.pattern.kind {
                Kind::Answer => self.say(None, text),
                Kind::Thinking => self.say(text, None),
            });
        }
        let chunk = serde_json::from_slice(json).map_err(|error| not_understood(&error, redactor))?;
        self.take(json, chunk, redactor)
    }

    fn take(&mut self, json: &[u8], chunk: Chunk<'_>, redactor: &Redactor) -> Result<Said, GenerateError> {
        if let Some(fault) = chunk.error {
            return Err(fault_of(fault, redactor));
        }
        if let Some(counts) = chunk.usage {
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
            self.calls.add(&call.fragment())?;
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
        Said::new(thinking, token)
    }
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

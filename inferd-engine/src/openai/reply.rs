//! Puts an answer together: chunks come in, what they say leaves, and what only the end can say is kept until then.

use inferd_proto::{StopReason, Usage};

use super::wire::{Choice, Chunk, Delta};
use crate::http::Redactor;
use crate::remote::{Dialect, Heard, Outcome, Said, count, not_understood, spoken};
use crate::{GenerateError, TokenEvent};

/// One answer, as far as it has come.
#[derive(Default)]
pub(super) struct Reply {
    /// The model that was asked.
    asked: String,
    outcome: Outcome,
}

impl Dialect for Reply {
    const NO_END: &'static str = "neither a finish_reason nor [DONE]";

    /// Takes a chunk, or all of an answer. Data that is no JSON object is of some other protocol.
    fn hear(&mut self, piece: &[u8], redactor: &Redactor) -> Result<Heard, GenerateError> {
        let piece = piece.trim_ascii();
        let said = if piece.first() == Some(&b'{') { self.read(piece, redactor)? } else { Said::default() };
        Ok(Heard { said, last: piece == b"[DONE]" })
    }

    fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    fn done(&mut self) -> TokenEvent {
        self.outcome.done()
    }
}

impl Reply {
    /// The answer of the model `asked`, before its first word.
    pub(super) fn to(asked: String) -> Self {
        Self { asked, ..Self::default() }
    }

    fn read(&mut self, json: &[u8], redactor: &Redactor) -> Result<Said, GenerateError> {
        if let Some(said) = self.outcome.say_again(json) {
            return Ok(said);
        }
        let chunk = serde_json::from_slice(json).map_err(|error| not_understood(&error, redactor))?;
        self.take(json, chunk, redactor)
    }

    fn take(&mut self, json: &[u8], chunk: Chunk<'_>, redactor: &Redactor) -> Result<Said, GenerateError> {
        if let Some(fault) = chunk.error {
            return Err(fault.meaning(&self.asked, redactor));
        }
        if let Some(counts) = chunk.usage {
            let [prompt_tokens, completion_tokens] =
                [counts.prompt_tokens, counts.completion_tokens].map(count);
            self.outcome.count(Usage { prompt_tokens, completion_tokens });
        }
        self.outcome.model(chunk.model);
        let Some(Choice { delta, message, finish_reason }) = chunk.choices.0 else {
            return Ok(Said::default());
        };
        self.outcome.begin();
        if let Some(reason) = spoken(finish_reason) {
            self.outcome.finish(stop_reason(&reason));
        }
        let Some(Delta { content, refusal, reasoning_content, reasoning, tool_calls }) = delta.or(message)
        else {
            return Ok(Said::default());
        };
        let says_text_only = tool_calls.is_none();
        for call in tool_calls.into_iter().flatten() {
            self.outcome.calls.add(&call.fragment())?;
        }
        let thinking = spoken(reasoning_content).or_else(|| spoken(reasoning));
        let token = spoken(content).or_else(|| spoken(refusal));
        Ok(if says_text_only {
            self.outcome.say_all(json, thinking, token)
        } else {
            self.outcome.say(thinking, token)
        })
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

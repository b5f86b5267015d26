//! Puts an answer together: events come in, what they say leaves, and what only the end can say is kept until then.
//!
//! An answer has ended where `message_stop` came, or where a `stop_reason` came and then the end of the stream.

use std::borrow::Cow;

use inferd_proto::{StopReason, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::wire::{
    Answer, BlockDelta, BlockStart, Counts, Failure, Input, Message, MessageDelta, Start, Thinking, ToolUse,
    Typed,
};
use crate::http::Redactor;
use crate::remote::{Dialect, Fragment, Heard, Outcome, Said, Text, count, not_understood, spoken};
use crate::{GenerateError, TokenEvent};

/// One answer, as far as it has come.
#[derive(Default)]
pub(super) struct Reply {
    /// The model that was asked.
    asked: String,
    outcome: Outcome,
    counts: Counts,
}

impl Dialect for Reply {
    const NO_END: &'static str = "neither a stop_reason nor message_stop";

    /// Takes an event, or all of an answer. Data that is no JSON object is of some other protocol.
    fn hear(&mut self, piece: &[u8], redactor: &Redactor) -> Result<Heard, GenerateError> {
        let piece = piece.trim_ascii();
        if piece.first() != Some(&b'{') {
            return Ok(Heard::default());
        }
        if let Some(said) = self.outcome.say_again(piece) {
            return Ok(Heard { said, last: false });
        }
        self.take(piece, redactor)
    }

    fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Where the server counted no tokens, those sent are counted.
    fn done(&mut self) -> TokenEvent {
        let written = self.counts.written.map_or(self.outcome.pieces(), |written| count(Some(written)));
        self.outcome.count(Usage { prompt_tokens: count(self.counts.read()), completion_tokens: written });
        self.outcome.done()
    }
}

impl Reply {
    /// The answer of the model `asked`, before its first word.
    pub(super) fn to(asked: String) -> Self {
        Self { asked, ..Self::default() }
    }

    fn take(&mut self, json: &[u8], redactor: &Redactor) -> Result<Heard, GenerateError> {
        let said = match &*kind(json, redactor)? {
            "content_block_delta" => self.delta(json, redactor)?,
            "content_block_start" => {
                let BlockStart { index, content_block } = parse(json, redactor)?;
                self.block(index, content_block, redactor)?
            }
            "message_start" => {
                let Start { message } = parse(json, redactor)?;
                // Of the tokens written it can only have guessed.
                let usage = message.usage.map(|counts| Counts { written: None, ..counts });
                self.message(Message { usage, ..message }, redactor)?
            }
            "message_delta" => {
                let MessageDelta { delta, usage } = parse(json, redactor)?;
                self.counts.update(&usage.unwrap_or_default());
                self.end(delta.and_then(|delta| delta.stop_reason));
                Said::default()
            }
            "message_stop" => return Ok(Heard { said: Said::default(), last: true }),
            "message" => self.message(parse(json, redactor)?, redactor)?,
            "error" | "" => self.fail(parse(json, redactor)?, redactor)?,
            _ => Said::default(),
        };
        Ok(Heard { said, last: false })
    }

    /// All of an answer, or what is known of it when it begins.
    fn message(&mut self, message: Message<'_>, redactor: &Redactor) -> Result<Said, GenerateError> {
        let Message { model, content, stop_reason, usage } = message;
        self.outcome.begin();
        self.outcome.model(model);
        self.counts.update(&usage.unwrap_or_default());
        self.end(stop_reason);
        let mut whole = Said::default();
        for block in content.into_iter().flatten() {
            let said = self.block(None, block, redactor)?;
            append(&mut whole.thinking, said.thinking);
            append(&mut whole.token, said.token);
        }
        Ok(whole)
    }

    /// A whole block, or the beginning of one, to which the deltas with its index are added.
    fn block(
        &mut self,
        index: Option<usize>,
        block: &RawValue,
        redactor: &Redactor,
    ) -> Result<Said, GenerateError> {
        let json = block.get().as_bytes();
        match &*kind(json, redactor)? {
            "text" => {
                let Answer { text } = parse(json, redactor)?;
                Ok(self.outcome.say(None, spoken(text)))
            }
            "thinking" => {
                let Thinking { thinking } = parse(json, redactor)?;
                Ok(self.outcome.say(spoken(thinking), None))
            }
            "tool_use" => {
                let ToolUse { id, name, input } = parse(json, redactor)?;
                let arguments = input.map(RawValue::get).filter(|input| !is_hollow(input));
                // A call that came with its arguments has no place for fragments of them.
                let index = index.filter(|_| arguments.is_none());
                let (id, name) = (id.as_ref().map(|id| &*id.0), name.as_ref().map(|name| &*name.0));
                self.outcome.calls.add(&Fragment { index, id, name, arguments })?;
                Ok(Said::default())
            }
            // Thinking that is kept secret, and tools that the server uses itself.
            _ => Ok(Said::default()),
        }
    }

    fn delta(&mut self, event: &[u8], redactor: &Redactor) -> Result<Said, GenerateError> {
        let BlockDelta { index, delta } = parse(event, redactor)?;
        let json = delta.get().as_bytes();
        match &*kind(json, redactor)? {
            "text_delta" => {
                let Answer { text } = parse(json, redactor)?;
                Ok(self.outcome.say_all(event, None, spoken(text)))
            }
            "thinking_delta" => {
                let Thinking { thinking } = parse(json, redactor)?;
                Ok(self.outcome.say_all(event, spoken(thinking), None))
            }
            // Not every block with an input is a call of ours.
            "input_json_delta" if index.is_some() && self.outcome.calls.holds(index) => {
                let Input { partial_json } = parse(json, redactor)?;
                let arguments = partial_json.as_ref().map(|json| &*json.0);
                self.outcome.calls.add(&Fragment { index, arguments, ..Fragment::default() })?;
                Ok(Said::default())
            }
            _ => Ok(Said::default()),
        }
    }

    fn end(&mut self, reason: Option<Text<'_>>) {
        if let Some(reason) = spoken(reason) {
            self.outcome.finish(stop_reason(&reason));
        }
    }

    fn fail(&self, failure: Failure<'_>, redactor: &Redactor) -> Result<Said, GenerateError> {
        match failure.error {
            Some(fault) => Err(fault.meaning(&self.asked, redactor)),
            None => Ok(Said::default()),
        }
    }
}

/// The type that an object names; empty where it names none.
fn kind<'a>(json: &'a [u8], redactor: &Redactor) -> Result<Cow<'a, str>, GenerateError> {
    let Typed { r#type } = parse(json, redactor)?;
    Ok(r#type.map_or_else(Default::default, |kind| kind.0))
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8], redactor: &Redactor) -> Result<T, GenerateError> {
    serde_json::from_slice(json).map_err(|error| not_understood(&error, redactor))
}

fn append(all: &mut Option<String>, more: Option<String>) {
    match (all.as_mut(), more) {
        (Some(all), Some(more)) => all.push_str(&more),
        (None, more) => *all = more,
        (Some(_), None) => {}
    }
}

/// Whether an input holds nothing: `{}`, in whatever spacing, or `null`.
fn is_hollow(input: &str) -> bool {
    input == "null" || input.bytes().all(|byte| byte.is_ascii_whitespace() || matches!(byte, b'{' | b'}'))
}

/// An answer that a filter cut off is not whole, so it must not pass for one that ended.
fn stop_reason(reason: &str) -> StopReason {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => StopReason::Length,
        "tool_use" => StopReason::ToolCalls,
        "refusal" => StopReason::Error,
        _ => StopReason::End,
    }
}

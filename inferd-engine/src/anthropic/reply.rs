//! Puts an answer together: events come in, what they say leaves, and what only the end can say is kept until then.
//!
//! An answer has ended where `message_stop` came, or where a `stop_reason` came and then the end of the stream.

use std::borrow::Cow;

use inferd_proto::{StopReason, ToolCall, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::wire::{
    Answer, BlockDelta, BlockStart, Counts, Failure, Input, Message, MessageDelta, Start, Thinking, ToolUse,
    Typed,
};
use crate::http::Redactor;
use crate::remote::{Calls, Dialect, Fragment, Heard, Said, Speech, Text, count, not_understood, spoken};
use crate::{GenerateError, TokenEvent};

/// One answer, as far as it has come.
pub(super) struct Reply {
    /// The model that was asked.
    asked: String,
    speech: Speech,
    calls: Calls,
    tally: Tally,
    finish: Option<StopReason>,
    model: Option<String>,
    begun: bool,
}

/// Tokens as the server counts them: those read come in three parts.
#[derive(Default)]
struct Tally {
    fresh: u64,
    cached: u64,
    recalled: u64,
    written: Option<u64>,
}

impl Dialect for Reply {
    const NO_END: &'static str = "neither a stop_reason nor message_stop";

    /// Takes an event, or all of an answer. Data that is no JSON object is of some other protocol.
    fn hear(&mut self, piece: &[u8], redactor: &Redactor) -> Result<Heard, GenerateError> {
        let piece = piece.trim_ascii();
        if piece.first() != Some(&b'{') {
            return Ok(Heard::default());
        }
        if let Some(said) = self.speech.again(piece) {
            return Ok(Heard { said, last: false });
        }
        self.take(piece, redactor)
    }

    fn is_begun(&self) -> bool {
        self.begun
    }

    fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// Where the server counted no tokens, those sent are counted.
    fn done(&mut self) -> TokenEvent {
        let tool_calls: Vec<ToolCall> = self.calls.take().into_iter().map(with_arguments).collect();
        let stop_reason = match self.finish.unwrap_or(StopReason::End) {
            StopReason::End if !tool_calls.is_empty() => StopReason::ToolCalls,
            reason => reason,
        };
        let Tally { fresh, cached, recalled, written } = self.tally;
        let prompt_tokens = count(Some(fresh.saturating_add(cached).saturating_add(recalled)));
        let completion_tokens = written.map_or(self.speech.pieces(), |written| count(Some(written)));
        let usage = Usage { prompt_tokens, completion_tokens };
        TokenEvent::Done { stop_reason, usage, tool_calls, model: self.model.take() }
    }
}

impl Reply {
    /// The answer of the model `asked`, before its first word.
    pub(super) fn to(asked: String) -> Self {
        Self {
            asked,
            speech: Speech::default(),
            calls: Calls::default(),
            tally: Tally::default(),
            finish: None,
            model: None,
            begun: false,
        }
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
                let usage = message.usage.map(|counts| Counts { output_tokens: None, ..counts });
                self.message(Message { usage, ..message }, redactor)?
            }
            "message_delta" => {
                let MessageDelta { delta, usage } = parse(json, redactor)?;
                self.tally.add(usage);
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
        self.begun = true;
        if let (None, Some(Text(model))) = (&self.model, model) {
            self.model = Some(model.into_owned()).filter(|model| !model.is_empty());
        }
        self.tally.add(usage);
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
                Ok(self.speech.say(None, spoken(text)))
            }
            "thinking" => {
                let Thinking { thinking } = parse(json, redactor)?;
                Ok(self.speech.say(spoken(thinking), None))
            }
            "tool_use" => {
                let ToolUse { id, name, input } = parse(json, redactor)?;
                let arguments = input.map(RawValue::get).filter(|input| !is_hollow(input));
                // A call that came with its arguments has no place for fragments of them.
                let index = index.filter(|_| arguments.is_none());
                let (id, name) = (id.as_ref().map(|id| &*id.0), name.as_ref().map(|name| &*name.0));
                self.calls.add(&Fragment { index, id, name, arguments })?;
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
                Ok(self.speech.say_all(event, None, spoken(text)))
            }
            "thinking_delta" => {
                let Thinking { thinking } = parse(json, redactor)?;
                Ok(self.speech.say_all(event, spoken(thinking), None))
            }
            // Not every block with an input is a call of ours.
            "input_json_delta" if index.is_some() && self.calls.holds(index) => {
                let Input { partial_json } = parse(json, redactor)?;
                let arguments = partial_json.as_ref().map(|json| &*json.0);
                self.calls.add(&Fragment { index, arguments, ..Fragment::default() })?;
                Ok(Said::default())
            }
            _ => Ok(Said::default()),
        }
    }

    fn end(&mut self, reason: Option<Text<'_>>) {
        if let (None, Some(reason)) = (self.finish, spoken(reason)) {
            self.finish = Some(stop_reason(&reason));
        }
    }

    fn fail(&self, failure: Failure<'_>, redactor: &Redactor) -> Result<Said, GenerateError> {
        match failure.error {
            Some(fault) => Err(fault.meaning(&self.asked, redactor)),
            None => Ok(Said::default()),
        }
    }
}

impl Tally {
    fn add(&mut self, counts: Option<Counts>) {
        let Some(counts) = counts else { return };
        for (all, more) in [
            (&mut self.fresh, counts.input_tokens),
            (&mut self.cached, counts.cache_creation_input_tokens),
            (&mut self.recalled, counts.cache_read_input_tokens),
        ] {
            *all = more.unwrap_or(0).max(*all);
        }
        self.written = counts.output_tokens.max(self.written);
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

/// A tool that takes nothing is called with an object that holds nothing.
fn with_arguments(mut call: ToolCall) -> ToolCall {
    if call.function.arguments.is_empty() {
        "{}".clone_into(&mut call.function.arguments);
    }
    call
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

//! Puts an answer together: lines come in, what they say leaves, and what only the end can say is kept until then.

use inferd_proto::{StopReason, Usage};

use super::wire::{Line, Message};
use crate::http::Redactor;
use crate::remote::{Dialect, Fragment, Heard, Outcome, count, not_understood, spoken};
use crate::{GenerateError, TokenEvent};

/// One answer, as far as it has come.
#[derive(Default)]
pub(super) struct Reply {
    outcome: Outcome,
    calls: usize,
}

impl Dialect for Reply {
    const NO_END: &'static str = "no line with `done`";

    /// Takes a line, or all of an answer.
    fn hear(&mut self, piece: &[u8], redactor: &Redactor) -> Result<Heard, GenerateError> {
        let line: Line<'_> =
            serde_json::from_slice(piece).map_err(|error| not_understood(&error, redactor))?;
        if let Some(error) = line.error {
            return Err(GenerateError::Unavailable(redactor.shown(&error.0)));
        }
        if line.done || line.message.is_some() {
            self.outcome.begin();
        }
        self.outcome.model(line.model);
        if line.done {
            self.end(spoken(line.done_reason).as_deref(), line.prompt_eval_count, line.eval_count);
        }
        let Some(Message { content, thinking, tool_calls }) = line.message else {
            return Ok(Heard { last: line.done, ..Heard::default() });
        };
        for call in tool_calls.into_iter().flatten() {
            let arguments = call.function.arguments();
            let fragment = Fragment {
                index: Some(self.calls),
                id: call.id.as_ref().map(|id| &*id.0),
                name: Some(&call.function.name.0),
                arguments: Some(&arguments),
            };
            self.outcome.calls.add(&fragment)?;
            self.calls += 1;
        }
        Ok(Heard { said: self.outcome.say(spoken(thinking), spoken(content)), last: line.done })
    }

    fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    fn done(&mut self) -> TokenEvent {
        self.outcome.done()
    }
}

impl Reply {
    /// `load` and `unload` answer a conversation without a word in it: nothing is to be said, and nothing was.
    fn end(&mut self, reason: Option<&str>, prompt: Option<u64>, generated: Option<u64>) {
        self.outcome.finish(match reason {
            Some("length") => StopReason::Length,
            _ => StopReason::End,
        });
        // A prompt that was still in memory is not counted again.
        if prompt.is_some() || generated.is_some() {
            self.outcome.count(Usage { prompt_tokens: count(prompt), completion_tokens: count(generated) });
        }
    }
}

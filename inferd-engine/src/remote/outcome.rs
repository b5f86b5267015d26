//! What an answer comes to: its words, counted as they pass, and what only its end can say, kept until then.

use std::borrow::Cow;

use inferd_proto::{StopReason, Usage};

use super::pattern::{Kind, Pattern};
use super::{Calls, Said, Text};
use crate::TokenEvent;

/// One answer, as far as it has come.
#[derive(Default)]
pub(crate) struct Outcome {
    /// The tools it calls.
    pub(crate) calls: Calls,
    pattern: Pattern,
    finish: Option<StopReason>,
    usage: Option<Usage>,
    model: Option<String>,
    pieces: u32,
    begun: bool,
}

impl Outcome {
    /// What `json` says, if it is like the piece before.
    pub(crate) fn say_again(&mut self, json: &[u8]) -> Option<Said> {
        let text = self.pattern.read(json)?;
        Some(match self.pattern.kind {
            Kind::Answer => self.say(None, Some(text)),
            Kind::Thinking => self.say(Some(text), None),
        })
    }

    /// Says what was read from `json`, which means nothing beside it: pieces like it need not be parsed.
    pub(crate) fn say_all(
        &mut self,
        json: &[u8],
        thinking: Option<Cow<'_, str>>,
        token: Option<Cow<'_, str>>,
    ) -> Said {
        match (&thinking, &token) {
            (None, Some(Cow::Borrowed(text))) => self.pattern.learn(json, Kind::Answer, text),
            (Some(Cow::Borrowed(text)), None) => self.pattern.learn(json, Kind::Thinking, text),
            _ => {}
        }
        self.say(thinking, token)
    }

    /// Says what was read from a piece that means something beside it. Empty text says nothing.
    pub(crate) fn say(&mut self, thinking: Option<Cow<'_, str>>, token: Option<Cow<'_, str>>) -> Said {
        let [thinking, token] = [thinking, token].map(|text| text.filter(|text| !text.is_empty()));
        let pieces = u32::from(thinking.is_some()) + u32::from(token.is_some());
        self.pieces = self.pieces.saturating_add(pieces);
        Said::new(thinking, token)
    }

    /// There is something of an answer.
    pub(crate) fn begin(&mut self) {
        self.begun = true;
    }

    /// Whether there was anything of an answer.
    pub(crate) fn is_begun(&self) -> bool {
        self.begun
    }

    /// Why it ended; the first reason stands.
    pub(crate) fn finish(&mut self, reason: StopReason) {
        self.finish.get_or_insert(reason);
    }

    /// Whether the end mark was seen: it is known why it ended.
    pub(crate) fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// The tokens that the server counted.
    pub(crate) fn count(&mut self, usage: Usage) {
        self.usage = Some(usage);
    }

    /// How many pieces were said, which is about how many tokens.
    pub(crate) fn pieces(&self) -> u32 {
        self.pieces
    }

    /// The model that answers; the first name stands.
    pub(crate) fn model(&mut self, name: Option<Text<'_>>) {
        if let (None, Some(Text(name))) = (&self.model, name) {
            self.model = Some(name.into_owned()).filter(|name| !name.is_empty());
        }
    }

    /// The last event. Where the server counted no tokens, those sent are counted.
    pub(crate) fn done(&mut self) -> TokenEvent {
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

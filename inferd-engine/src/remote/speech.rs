//! The words of one answer, counted, and read by their likeness to the words before where they can be.

use std::borrow::Cow;

use super::Said;
use super::pattern::{Kind, Pattern};

/// What was said so far.
#[derive(Default)]
pub(crate) struct Speech {
    pattern: Pattern,
    pieces: u32,
}

impl Speech {
    /// What `json` says, if it is like the chunk before.
    pub(crate) fn again(&mut self, json: &[u8]) -> Option<Said> {
        let text = Some(self.pattern.read(json)?).filter(|text| !text.is_empty());
        Some(match self.pattern.kind {
            Kind::Answer => self.say(None, text),
            Kind::Thinking => self.say(text, None),
        })
    }

    /// Says what was read from `json`, which means nothing beside it: chunks like it need not be parsed.
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

    /// Says what was read from a chunk that means something beside it.
    pub(crate) fn say(&mut self, thinking: Option<Cow<'_, str>>, token: Option<Cow<'_, str>>) -> Said {
        let pieces = u32::from(thinking.is_some()) + u32::from(token.is_some());
        self.pieces = self.pieces.saturating_add(pieces);
        Said::new(thinking, token)
    }

    /// How many pieces were said, which is about how many tokens.
    pub(crate) fn pieces(&self) -> u32 {
        self.pieces
    }
}

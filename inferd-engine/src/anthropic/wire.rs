//! What `/v1/messages` answers, as far as anything in it is used: the rest is skipped unread.
//!
//! Every object names its type, which is read first; what it holds is read only where that type is known, so that new
//! events, blocks and deltas disturb nobody.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::remote::{Fault, Text};

/// What any of its objects is; an error may have no type at all.
#[derive(Deserialize)]
pub(super) struct Typed<'a> {
    #[serde(borrow)]
    pub(super) r#type: Option<Text<'a>>,
}

/// `error`
#[derive(Deserialize)]
pub(super) struct Failure<'a> {
    #[serde(borrow)]
    pub(super) error: Option<Fault<'a>>,
}

/// `message_start`
#[derive(Deserialize)]
pub(super) struct Start<'a> {
    #[serde(borrow)]
    pub(super) message: Message<'a>,
}

/// `message`, the whole of an answer, or the beginning of one.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) model: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) content: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub(super) stop_reason: Option<Text<'a>>,
    pub(super) usage: Option<Counts>,
}

/// `content_block_start`
#[derive(Deserialize)]
pub(super) struct BlockStart<'a> {
    pub(super) index: Option<usize>,
    #[serde(borrow)]
    pub(super) content_block: &'a RawValue,
}

/// `content_block_delta`
#[derive(Deserialize)]
pub(super) struct BlockDelta<'a> {
    pub(super) index: Option<usize>,
    #[serde(borrow)]
    pub(super) delta: &'a RawValue,
}

/// `message_delta`
#[derive(Deserialize)]
pub(super) struct MessageDelta<'a> {
    #[serde(borrow)]
    pub(super) delta: Option<End<'a>>,
    pub(super) usage: Option<Counts>,
}

#[derive(Deserialize)]
pub(super) struct End<'a> {
    #[serde(borrow)]
    pub(super) stop_reason: Option<Text<'a>>,
}

/// The block `text`, and its delta.
#[derive(Deserialize)]
pub(super) struct Answer<'a> {
    #[serde(borrow)]
    pub(super) text: Option<Text<'a>>,
}

/// The block `thinking`, and its delta.
#[derive(Deserialize)]
pub(super) struct Thinking<'a> {
    #[serde(borrow)]
    pub(super) thinking: Option<Text<'a>>,
}

/// The block `tool_use`.
#[derive(Deserialize)]
pub(super) struct ToolUse<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
}

/// `input_json_delta`
#[derive(Deserialize)]
pub(super) struct Input<'a> {
    #[serde(borrow)]
    pub(super) partial_json: Option<Text<'a>>,
}

/// Tokens so far: each count holds all that came before.
#[derive(Default, Deserialize)]
pub(super) struct Counts {
    /// Those read, but for those that the server kept, or had kept.
    #[serde(rename = "input_tokens")]
    pub(super) fresh: Option<u64>,
    #[serde(rename = "cache_creation_input_tokens")]
    pub(super) kept: Option<u64>,
    #[serde(rename = "cache_read_input_tokens")]
    pub(super) recalled: Option<u64>,
    #[serde(rename = "output_tokens")]
    pub(super) written: Option<u64>,
}

impl Counts {
    /// Takes what was counted since.
    pub(super) fn update(&mut self, later: &Self) {
        for (all, later) in [
            (&mut self.fresh, later.fresh),
            (&mut self.kept, later.kept),
            (&mut self.recalled, later.recalled),
            (&mut self.written, later.written),
        ] {
            *all = later.max(*all);
        }
    }

    /// All tokens read.
    pub(super) fn read(&self) -> Option<u64> {
        [self.fresh, self.kept, self.recalled].into_iter().flatten().reduce(u64::saturating_add)
    }
}

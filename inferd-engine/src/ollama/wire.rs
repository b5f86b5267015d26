//! What `/api/chat` answers, as far as anything in it is used: the rest is skipped unread.
//!
//! One shape serves a line of a stream and a whole answer.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::remote::Text;

/// A line of a stream, or a whole answer.
#[derive(Deserialize)]
pub(super) struct Line<'a> {
    #[serde(borrow)]
    pub(super) message: Option<Message<'a>>,
    #[serde(default)]
    pub(super) done: bool,
    #[serde(borrow)]
    pub(super) done_reason: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) model: Option<Text<'a>>,
    pub(super) prompt_eval_count: Option<u64>,
    pub(super) eval_count: Option<u64>,
    #[serde(borrow)]
    pub(super) error: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) content: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) thinking: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) tool_calls: Option<Vec<Call<'a>>>,
}

/// A tool call; it comes whole.
#[derive(Deserialize)]
pub(super) struct Call<'a> {
    /// Older servers give none.
    #[serde(borrow)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) function: Function<'a>,
}

#[derive(Deserialize)]
pub(super) struct Function<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

impl Function<'_> {
    /// The arguments as JSON text. Where they already came as text, that is it.
    pub(super) fn arguments(&self) -> Cow<'_, str> {
        let json = self.arguments.map_or("{}", RawValue::get);
        match serde_json::from_str(json) {
            Ok(Text(text)) => text,
            Err(_) => Cow::Borrowed(json),
        }
    }
}

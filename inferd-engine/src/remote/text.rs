//! Strings of an answer, borrowed from it where they can be.

use std::borrow::Cow;

use serde::Deserialize;

/// A string, borrowed where it holds no escapes: `Option<Cow<str>>` would always copy.
#[derive(Debug, Deserialize)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

impl Text<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Empty text is none.
pub(crate) fn spoken(text: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    text.filter(|text| !text.is_empty()).map(|text| text.0)
}

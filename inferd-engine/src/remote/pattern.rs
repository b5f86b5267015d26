//! Reads a chunk of a stream by its likeness to the one before.
//!
//! The chunks of one answer differ, as a rule, in nothing but the text of one string. What stood before and after that
//! string is kept, and of a chunk that begins and ends in the same way only the string between is parsed.
//!
//! Invariant: what is read this way equals what parsing all of the chunk would have read. JSON is read from the left,
//! so after the same beginning the same string is due, and where it ends the same ending follows.

use std::borrow::Cow;

use super::Text;

/// The longest chunk that is kept, in bytes.
const CHUNK_BYTES_MAX: usize = 4096;

/// What stands around the text of a chunk that says nothing else, quotation marks included.
#[derive(Default)]
pub(super) struct Pattern {
    before: Vec<u8>,
    after: Vec<u8>,
    /// What the text is.
    pub(super) kind: Kind,
}

/// Which of the strings of a chunk it was.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Answer,
    Thinking,
}

impl Pattern {
    /// The text of `json`, if it is like the chunk before.
    pub(super) fn read<'j>(&self, json: &'j [u8]) -> Option<Cow<'j, str>> {
        let (start, end) = (self.before.len().checked_sub(1)?, json.len().checked_sub(self.after.len())? + 1);
        if !json.starts_with(&self.before) || !json.ends_with(&self.after) {
            return None;
        }
        let Text(text) = serde_json::from_slice(json.get(start..end)?).ok()?;
        Some(text)
    }

    /// Learns from a chunk that says `text`, as it stands in it, and nothing else.
    pub(super) fn learn(&mut self, json: &[u8], kind: Kind, text: &str) {
        let start = (text.as_ptr() as usize).wrapping_sub(json.as_ptr() as usize);
        let Some((before, rest)) = json.split_at_checked(start) else { return };
        let Some((_, after)) = rest.split_at_checked(text.len()) else { return };
        if json.len() <= CHUNK_BYTES_MAX {
            self.kind = kind;
            self.before.clear();
            self.before.extend_from_slice(before);
            self.after.clear();
            self.after.extend_from_slice(after);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn chunk(text: &str) -> String {
        json!({"id": 7, "choices": [{"delta": {"content": text}, "finish_reason": null}]}).to_string()
    }

    fn pattern() -> Pattern {
        let json = chunk("plain");
        let text = &json[json.find("plain").unwrap()..][..5];
        let mut pattern = Pattern::default();
        pattern.learn(json.as_bytes(), Kind::Answer, text);
        pattern
    }

    #[test]
    fn nothing_is_like_no_chunk_at_all() {
        for json in ["", "{}", "\"\"", &chunk("a")] {
            assert_eq!(Pattern::default().read(json.as_bytes()), None, "{json}");
        }
    }

    #[test]
    fn a_chunk_that_says_more_is_not_alike() {
        for other in [
            chunk("a").replace("null", "\"stop\""),
            chunk("a").replace(":7", ":8"),
            chunk("a").replace(r#""a""#, r#""a","tool_calls":[],"x":"y""#),
            chunk("a").replace(r#""a""#, r#""a\""#),
            chunk("a").replace(r#""a""#, "\"a\n\""),
            chunk("a").replace(r#""a""#, "null"),
            chunk("a").replace(r#""a""#, "\""),
        ] {
            assert_eq!(pattern().read(other.as_bytes()), None, "{other}");
        }
        let mut invalid = chunk("a").into_bytes();
        let at = invalid.iter().position(|&byte| byte == b'a').unwrap();
        invalid[at] = 0xff;
        assert_eq!(pattern().read(&invalid), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_parsing_reads_it(text in any::<String>(), escapes in any::<bool>()) {
            let json = if escapes {
                let escaped: Vec<_> = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
                chunk("").replace(r#""content":"""#, &format!(r#""content":"{}""#, escaped.concat()))
            } else {
                chunk(&text)
            };
            let read = pattern().read(json.as_bytes());
            prop_assert_eq!(read.as_deref(), Some(&*text));
        }
    }
}

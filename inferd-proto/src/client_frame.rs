//! A client's line, told apart by its `type`.
//!
//! A line becomes a [`ClientFrame`] or a [`Rejected`] that still carries the id, so that whoever sent it can be told.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{EmbedRequest, ProtoError, Request};

/// The longest reason a rejected line is given, in characters: it may quote what the client sent.
const REASON_CHARS_MAX: usize = 500;

/// What a client may say.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientFrame {
    /// Answer this conversation.
    Request(Box<Request>),
    /// End the request with this id.
    Cancel {
        /// The id of an open request.
        id: String,
    },
    /// Say what you can do.
    Hello,
    /// Embed these texts.
    Embed(EmbedRequest),
    /// A key, where none is needed or it was given already.
    Auth(Auth),
}

/// The first line on TCP where a key is configured.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "auth", rename_all = "lowercase")]
pub struct Auth {
    /// The key itself.
    pub key: String,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auth { .. }")
    }
}

/// A line that is no frame.
#[derive(Debug)]
pub struct Rejected {
    /// The id of the request, as far as it could be read.
    pub id: String,
    /// What is wrong.
    pub error: ProtoError,
}

impl ClientFrame {
    /// Reads a line.
    ///
    /// # Errors
    /// [`Rejected`] for what is not JSON, not UTF-8, of an unknown type, or has a field of the wrong type; the
    /// message names the field.
    pub fn parse(line: &[u8]) -> Result<Self, Rejected> {
        if line.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            let error = ProtoError::InvalidRequest("expected a JSON object on each line".to_owned());
            return Err(Rejected { id: String::new(), error });
        }
        // Only a line that spells the key can be of another kind: plain requests are read once.
        if memchr::memmem::find(line, br#""type""#).is_none() {
            return read(line).map(Self::Request);
        }
        let head = Head::of(line);
        match head.kind.as_deref() {
            None | Some("request") => read(line).map(Self::Request),
            Some("cancel") => read(line).map(|Cancel { id }| Self::Cancel { id }),
            Some("hello") => Ok(Self::Hello),
            Some("embed") => read(line).map(Self::Embed),
            Some("auth") => read(line).map(Self::Auth),
            Some(other) => Err(Rejected {
                id: head.id.unwrap_or_default().into_owned(),
                error: ProtoError::InvalidRequest(cut(format!(
                    "type: expected `request`, `cancel`, `hello`, `embed` or `auth`, got `{other}`"
                ))),
            }),
        }
    }
}

#[derive(Deserialize)]
struct Cancel {
    id: String,
}

fn read<T: DeserializeOwned>(line: &[u8]) -> Result<T, Rejected> {
    serde_json::from_slice(line).map_err(|_| explain::<T>(line))
}

/// The slow road: reads again to learn which field was wrong and whose request it was.
#[cold]
fn explain<T: DeserializeOwned>(line: &[u8]) -> Rejected {
    let mut json = serde_json::Deserializer::from_slice(line);
    let reason = match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Ok(_) => "unexpected text after the object".to_owned(),
        Err(error) => {
            let path = error.path().to_string();
            let error = error.into_inner();
            match (error.classify(), path.as_str()) {
                (serde_json::error::Category::Data, ".") => error.to_string(),
                (serde_json::error::Category::Data, path) => format!("{path}: {error}"),
                _ => format!("not valid JSON: {error}"),
            }
        }
    };
    let id = Head::of(line).id.unwrap_or_default().into_owned();
    Rejected { id, error: ProtoError::InvalidRequest(cut(reason)) }
}

fn cut(mut reason: String) -> String {
    if let Some((end, _)) = reason.char_indices().nth(REASON_CHARS_MAX) {
        reason.truncate(end);
        reason.push('…');
    }
    reason
}

/// Kind and id of a line, as far as they can be read: what was seen before an error still counts.
#[derive(Default)]
struct Head<'a> {
    kind: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
}

impl<'a> Head<'a> {
    fn of(line: &'a [u8]) -> Self {
        let mut head = Self::default();
        let mut json = serde_json::Deserializer::from_slice(line);
        // An error is not lost here: the caller reads the line again for its reason.
        json.deserialize_map(HeadVisitor(&mut head)).ok();
        head
    }
}

struct HeadVisitor<'h, 'a>(&'h mut Head<'a>);

impl<'a> Visitor<'a> for HeadVisitor<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "type" => self.0.kind = map.next_value::<TextOrNone<'a>>()?.0,
                "id" => self.0.id = map.next_value::<TextOrNone<'a>>()?.0,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// A string, borrowed where it holds no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A string, or `None` for any other value: what stands after that one is still to be read.
struct TextOrNone<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for TextOrNone<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor).map(Self)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_seq(seq).map(|_| None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_map(map).map(|_| None)
    }
}

#[cfg(test)]
mod tests;

//! A turn of a conversation: who spoke, and what was said, called or returned.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ToolCall;

/// Who speaks in a [`Message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions for the whole conversation.
    System,
    /// The person or program asking.
    User,
    /// The model, replayed for context.
    Assistant,
    /// The result of a tool that the model called.
    Tool,
}

/// One turn.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Wire")]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said; on an assistant turn also the tools called, on a tool turn the call that is answered.
    pub content: Content,
}

/// What a [`Message`] carries. Made from text by `From`, or by one of its constructors.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Content {
    /// The text or blocks themselves.
    pub body: Body,
    /// Tools the assistant called in this turn.
    pub tool_calls: Vec<ToolCall>,
    /// The call that a tool turn answers.
    pub tool_call_id: Option<String>,
}

/// Text, or a list of blocks. Both survive a round trip as they came.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Body {
    /// Plain text.
    Text(String),
    /// Text and images in order.
    Blocks(Vec<Block>),
}

/// One part of a [`Body`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Block {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// An image, inline.
    Image {
        /// Its media type, such as `image/png`.
        mime: String,
        /// Its bytes in base64.
        data: String,
    },
}

impl Content {
    /// The text of this turn; blocks of text are joined by `\n`.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match &self.body {
            Body::Text(text) => Cow::Borrowed(text),
            Body::Blocks(blocks) => match blocks.as_slice() {
                [Block::Text { text }] => Cow::Borrowed(text),
                blocks => Cow::Owned(
                    blocks
                        .iter()
                        .filter_map(|block| match block {
                            Block::Text { text } => Some(text.as_str()),
                            Block::Image { .. } => None,
                        })
                        .collect::<Vec<_>>()
                        .join("\n"),
                ),
            },
        }
    }

    /// Bytes of text in this turn.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        match &self.body {
            Body::Text(text) => text.len(),
            Body::Blocks(blocks) => blocks
                .iter()
                .map(|block| match block {
                    Block::Text { text } => text.len(),
                    Block::Image { .. } => 0,
                })
                .sum(),
        }
    }

    /// Whether the turn holds an image.
    #[must_use]
    pub fn has_images(&self) -> bool {
        match &self.body {
            Body::Text(_) => false,
            Body::Blocks(blocks) => blocks.iter().any(|block| matches!(block, Block::Image { .. })),
        }
    }

    /// An assistant's turn that called tools.
    #[must_use]
    pub fn calling(text: impl Into<String>, tool_calls: Vec<ToolCall>) -> Self {
        Self { body: Body::Text(text.into()), tool_calls, tool_call_id: None }
    }

    /// The answer to the tool call `tool_call_id`.
    #[must_use]
    pub fn answering(tool_call_id: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            body: Body::Text(text.into()),
            tool_calls: Vec::new(),
            tool_call_id: Some(tool_call_id.into()),
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self { body: Body::Text(text), ..Self::default() }
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<Vec<Block>> for Content {
    fn from(blocks: Vec<Block>) -> Self {
        Self { body: Body::Blocks(blocks), ..Self::default() }
    }
}

/// A message as it is written, where the tool fields stand beside `content`. Borrowed: images are large.
#[derive(Serialize)]
struct Written<'a> {
    role: Role,
    // Always there: v1 readers require it.
    content: &'a Body,
    #[serde(skip_serializing_if = "<[ToolCall]>::is_empty")]
    tool_calls: &'a [ToolCall],
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Content { body, tool_calls, tool_call_id } = &self.content;
        let written =
            Written { role: self.role, content: body, tool_calls, tool_call_id: tool_call_id.as_deref() };
        written.serialize(serializer)
    }
}

/// A message as it is read.
#[derive(Deserialize)]
struct Wire {
    role: Role,
    /// A turn that only calls tools may leave it out or null.
    content: Option<Body>,
    #[serde(default)]
    tool_calls: Vec<ToolCall>,
    #[serde(default)]
    tool_call_id: Option<String>,
}

impl TryFrom<Wire> for Message {
    type Error = &'static str;

    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        let body = match wire.content {
            Some(body) => body,
            None if !wire.tool_calls.is_empty() => Body::default(),
            None => return Err("missing `content`, expected a string or an array of blocks"),
        };
        let content = Content { body, tool_calls: wire.tool_calls, tool_call_id: wire.tool_call_id };
        Ok(Self { role: wire.role, content })
    }
}

// By hand for speed and for its message: an untagged enum buffers the value and forgets why it failed.
impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BodyVisitor;

        impl<'de> Visitor<'de> for BodyVisitor {
            type Value = Body;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of blocks")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Body, E> {
                Ok(Body::Text(text.to_owned()))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Body, E> {
                Ok(Body::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, blocks: A) -> Result<Body, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(blocks)).map(Body::Blocks)
            }
        }

        deserializer.deserialize_any(BodyVisitor)
    }
}

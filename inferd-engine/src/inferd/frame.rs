//! A line of the other daemon, read without copying: only the text of a token is kept, by whoever takes it.

use std::borrow::Cow;

use inferd_proto::{ErrorCode, StopReason, ToolCall, Usage};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error;
use serde_json::error::Category;

use super::link::Broken;

/// The frames that are told apart here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Token,
    Done,
    Error,
    Status,
    Hello,
    Embeddings,
    /// One of a later protocol, which nobody here asked for.
    Unknown,
    /// What names no type is no frame.
    Untyped,
}

/// The fields of any of them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Frame<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) content: Cow<'a, str>,
    /// What a token is when it is not answer text.
    #[serde(borrow, rename = "kind")]
    pub(super) token_kind: Cow<'a, str>,
    usage: Counted,
    pub(super) stop_reason: Option<StopReason>,
    pub(super) model: Option<String>,
    pub(super) tool_calls: Vec<ToolCall>,
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) message: Cow<'a, str>,
    pub(super) retry_after_ms: Option<u64>,
}

/// Tokens; `embeddings` count none that were generated.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Counted {
    prompt_tokens: u32,
    completion_tokens: u32,
}

impl<'a> Frame<'a> {
    /// Reads a line. A frame of an unknown type is one whatever its fields are.
    pub(super) fn read(line: &'a [u8]) -> Result<Self, Broken> {
        Ok(serde_json::from_slice(line).or_else(|error| match error.classify() {
            Category::Data => read_unknown(line).ok_or(error),
            Category::Io | Category::Syntax | Category::Eof => Err(error),
        })?)
    }

    pub(super) fn kind(&self) -> Kind {
        match &*self.r#type {
            "token" => Kind::Token,
            "done" => Kind::Done,
            "error" => Kind::Error,
            "status" => Kind::Status,
            "hello" => Kind::Hello,
            "embeddings" => Kind::Embeddings,
            "" => Kind::Untyped,
            _ => Kind::Unknown,
        }
    }

    pub(super) fn usage(&self) -> Usage {
        let Counted { prompt_tokens, completion_tokens } = self.usage;
        Usage { prompt_tokens, completion_tokens }
    }

    /// The code of an `error`; `None` for one that is not known here.
    pub(super) fn code(&self) -> Option<ErrorCode> {
        let code: Result<_, Error> = ErrorCode::deserialize((&*self.code).into_deserializer());
        code.ok()
    }

    /// The error of a frame that came where none of its kind has a place.
    pub(super) fn misplaced(&self) -> Broken {
        Broken::Garbled(match self.kind() {
            Kind::Untyped => "a frame without a type came".to_owned(),
            _ => format!("a frame of type {} came, which answers no such request", self.r#type),
        })
    }
}

/// Reads a line of which only the type matters, if that is so.
#[cold]
fn read_unknown(line: &[u8]) -> Option<Frame<'_>> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        r#type: Cow<'a, str>,
    }
    let Head { r#type } = serde_json::from_slice(line).ok()?;
    let frame = Frame { r#type, ..Frame::default() };
    (frame.kind() == Kind::Unknown).then_some(frame)
}

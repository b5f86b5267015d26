//! How an answer is written, which need not be how it was asked for.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use inferd_proto::{FrameTooLarge, Lines};

use crate::GenerateError;
use crate::http::{EVENT_BYTES_MAX, Event, EventTooLong, HttpError, Sse};

/// The most bytes of an answer that comes in one piece.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How an answer is written.
pub(crate) enum Form {
    /// As server-sent events.
    Events(Sse),
    /// As JSON objects, one a line.
    Lines {
        /// Finds the lines.
        lines: Lines,
        /// The last chunk.
        chunk: Bytes,
        /// How much of it was read.
        at: usize,
    },
    /// As one JSON object, gathered here.
    Whole(Vec<u8>),
}

impl Form {
    pub(crate) fn events() -> Self {
        Self::Events(Sse::default())
    }

    pub(crate) fn lines() -> Self {
        Self::Lines { lines: Lines::new(EVENT_BYTES_MAX), chunk: Bytes::new(), at: 0 }
    }

    pub(crate) fn whole() -> Self {
        Self::Whole(Vec::new())
    }

    /// The form that `headers` declare. `json` is what this engine means by `application/json`, `undeclared` what it is
    /// taken to mean where it declares nothing.
    pub(crate) fn declared(headers: &HeaderMap, json: Self, undeclared: Self) -> Result<Self, GenerateError> {
        let declared = headers.get(CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or("unreadable"));
        let kind = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "text/event-stream" => Ok(Self::events()),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Self::lines()),
            "application/json" => Ok(json),
            // What servers written in Go declare of text that nobody declared to be anything.
            "" | "text/plain" => Ok(undeclared),
            _ => Err(GenerateError::Unavailable(format!("answered with {kind}, which is no completion"))),
        }
    }

    /// Takes a chunk of the body; the one before was read to its end.
    pub(super) fn push(&mut self, bytes: Bytes) -> Result<(), HttpError> {
        match self {
            Self::Events(sse) => sse.push(bytes),
            Self::Lines { chunk, at, .. } => (*chunk, *at) = (bytes, 0),
            Self::Whole(json) if json.len() + bytes.len() > ANSWER_BYTES_MAX => {
                return Err(HttpError::TooLarge(ANSWER_BYTES_MAX));
            }
            Self::Whole(json) => json.extend_from_slice(&bytes),
        }
        Ok(())
    }

    /// The next piece of what was taken so far, or `None` where another chunk is needed.
    pub(super) fn next(&mut self) -> Result<Option<Event<'_>>, GenerateError> {
        match self {
            Self::Events(sse) => Ok(sse.next()?),
            Self::Lines { lines, chunk, at } => {
                let mut rest = &chunk[*at..];
                let line = lines.next(&mut rest)?;
                *at = chunk.len() - rest.len();
                Ok(line.map(Event::Data))
            }
            Self::Whole(_) => Ok(None),
        }
    }

    /// What the end of the body leaves: all of an answer in one piece, or a last piece that lacks its end mark.
    pub(super) fn end(&mut self) -> Option<&[u8]> {
        match self {
            Self::Events(sse) => sse.end(),
            Self::Lines { lines, .. } => lines.finish(),
            Self::Whole(json) => Some(json),
        }
    }
}

impl From<EventTooLong> for GenerateError {
    fn from(error: EventTooLong) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<FrameTooLarge> for GenerateError {
    fn from(FrameTooLarge { frame_bytes_max }: FrameTooLarge) -> Self {
        Self::Unavailable(format!("a line exceeds {frame_bytes_max} bytes"))
    }
}

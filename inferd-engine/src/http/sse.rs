//! Server-sent events from chunks of bytes, cut anywhere (HTML Living Standard, section 9.2.6).
//!
//! Chunks come in by [`Sse::push`], events are lent out by [`Sse::next`]. An event that lies within one chunk, on one
//! `data` line, is lent as it lies there; only what is cut or has several lines is put together in a buffer.
//!
//! Invariants:
//! - The events do not depend on where the chunks were cut.
//! - No line and no event is held beyond the decoder's limit, which is [`EVENT_BYTES_MAX`].

use std::ops::Range;

use bytes::Bytes;
use memchr::memchr2;

/// The most bytes of a line, and of the data of one event.
pub(crate) const EVENT_BYTES_MAX: usize = 1024 * 1024;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// The decoder of one stream.
pub(crate) struct Sse {
    event_bytes_max: usize,
    chunk: Bytes,
    /// How much of the chunk was read.
    at: usize,
    /// A line that was cut at the end of a chunk.
    line: Vec<u8>,
    /// The data of an event that is not lent from a chunk, each line ended by `\n`.
    data: Vec<u8>,
    /// `data` was lent out and is to be emptied.
    lent: bool,
    /// The last line ended in `\r`, so that a `\n` that follows belongs to it.
    after_cr: bool,
    /// A line was seen: a byte order mark may only stand before it.
    begun: bool,
    /// The last id that an event had.
    id: Option<String>,
    retry_ms: Option<u64>,
}

/// The longest id that is kept, in bytes; a longer one cannot be come back to.
const ID_BYTES_MAX: usize = 1024;

/// What a stream says. The names of events are not looked at; for their ids and the time to wait see [`Sse::last_id`] and
/// [`Sse::retry_ms`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// The data of an event.
    Data(&'a [u8]),
    /// A comment, as servers send to show that they are alive.
    Comment,
}

/// A line or event beyond the decoder's limit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event exceeds {event_bytes_max} bytes")]
pub(crate) struct EventTooLong {
    /// The limit that was passed, in bytes.
    pub(crate) event_bytes_max: usize,
}

/// Where an event was found.
enum Found {
    InChunk(Range<usize>),
    InData,
    Comment,
}

impl Default for Sse {
    fn default() -> Self {
        Self::new(EVENT_BYTES_MAX)
    }
}

impl Sse {
    /// A decoder of lines, and of events whose data, have at most `event_bytes_max` bytes.
    pub(crate) fn new(event_bytes_max: usize) -> Self {
        Self {
            event_bytes_max,
            chunk: Bytes::new(),
            at: 0,
            line: Vec::new(),
            data: Vec::new(),
            lent: false,
            after_cr: false,
            begun: false,
            id: None,
            retry_ms: None,
        }
    }

    /// The last id that the stream gave: where to come back to.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// How long to wait before coming back, in milliseconds, as the stream said.
    pub(crate) fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// Takes the next chunk; the one before must have been read until [`Sse::next`] said `None`.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        debug_assert_eq!(self.at, self.chunk.len(), "the chunk before is read to its end");
        self.chunk = chunk;
        self.at = 0;
    }

    /// The next event, or `None` where another chunk is needed.
    pub(crate) fn next(&mut self) -> Result<Option<Event<'_>>, EventTooLong> {
        if self.lent {
            self.lent = false;
            self.data.clear();
        }
        Ok(match self.find()? {
            None => None,
            Some(Found::Comment) => Some(Event::Comment),
            Some(Found::InChunk(range)) => Some(Event::Data(&self.chunk[range])),
            Some(Found::InData) => Some(Event::Data(self.lend())),
        })
    }

    /// The data of an event that the end of the stream cut off: the standard drops it, but the last event of a
    /// server that forgets its empty line is worth a look.
    pub(crate) fn end(&mut self) -> Option<&[u8]> {
        if self.lent {
            self.lent = false;
            self.data.clear();
        }
        let line = std::mem::take(&mut self.line);
        let whole = self.take_line(&line);
        (whole.is_ok() && !self.data.is_empty()).then(|| self.lend())
    }

    fn find(&mut self) -> Result<Option<Found>, EventTooLong> {
        loop {
            let rest = &self.chunk[self.at..];
            if self.after_cr && !rest.is_empty() {
                self.after_cr = false;
                if rest[0] == b'\n' {
                    self.at += 1;
                    continue;
                }
            }
            let Some(length) = memchr2(b'\n', b'\r', rest) else {
                self.check(self.line.len() + rest.len())?;
                self.line.extend_from_slice(rest);
                self.at = self.chunk.len();
                return Ok(None);
            };
            self.check(self.line.len() + length)?;
            let line = self.at..self.at + length;
            self.at = line.end;
            self.end_line();
            let found = if self.line.is_empty() {
                self.whole_line(line)?
            } else {
                let mut cut = std::mem::take(&mut self.line);
                cut.extend_from_slice(&self.chunk[line]);
                let found = self.take_line(&cut)?;
                cut.clear();
                self.line = cut;
                found
            };
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    /// A line that lies within the chunk; if the line after it is empty and no data came before, so does its event.
    fn whole_line(&mut self, line: Range<usize>) -> Result<Option<Found>, EventTooLong> {
        let bytes = &self.chunk[line.clone()];
        if self.begun && self.data.is_empty() && bytes.len() > 5 && bytes.starts_with(b"data:") {
            let start = line.start + 5 + usize::from(bytes[5] == b' ');
            if !self.after_cr && matches!(self.chunk.get(self.at), Some(b'\n' | b'\r')) {
                self.end_line();
                return Ok(Some(Found::InChunk(start..line.end)));
            }
        }
        let chunk = self.chunk.clone();
        self.take_line(&chunk[line])
    }

    /// Passes over the end of a line, at which the chunk stands.
    fn end_line(&mut self) {
        if self.chunk[self.at] == b'\r' {
            match self.chunk.get(self.at + 1) {
                Some(b'\n') => self.at += 1,
                Some(_) => {}
                None => self.after_cr = true,
            }
        }
        self.at += 1;
    }

    /// A line without its end: an empty one completes an event.
    fn take_line(&mut self, mut line: &[u8]) -> Result<Option<Found>, EventTooLong> {
        if !self.begun {
            self.begun = true;
            line = line.strip_prefix(BOM).unwrap_or(line);
        }
        if line.is_empty() {
            return Ok((!self.data.is_empty()).then_some(Found::InData));
        }
        if line[0] == b':' {
            return Ok(Some(Found::Comment));
        }
        let value = match line.strip_prefix(b"data") {
            Some([b':', b' ', value @ ..] | [b':', value @ ..]) => value,
            Some([]) => &[],
            Some(_) | None => {
                self.take_field(line);
                return Ok(None);
            }
        };
        self.check(self.data.len() + value.len())?;
        self.data.extend_from_slice(value);
        self.data.push(b'\n');
        Ok(None)
    }

    /// A line that is not of an event's data.
    fn take_field(&mut self, line: &[u8]) {
        let Some(colon) = memchr::memchr(b':', line) else { return };
        let value = &line[colon + 1..];
        let value = std::str::from_utf8(value.strip_prefix(b" ").unwrap_or(value)).unwrap_or_default();
        match &line[..colon] {
            b"id" if value.len() <= ID_BYTES_MAX && !value.contains('\0') => self.id = Some(value.to_owned()),
            b"retry" => self.retry_ms = value.parse().ok().or(self.retry_ms),
            _ => {}
        }
    }

    /// Whether so many bytes may be held.
    fn check(&self, bytes: usize) -> Result<(), EventTooLong> {
        let event_bytes_max = self.event_bytes_max;
        if bytes > event_bytes_max { Err(EventTooLong { event_bytes_max }) } else { Ok(()) }
    }

    fn lend(&mut self) -> &[u8] {
        self.lent = true;
        &self.data[..self.data.len() - 1]
    }
}

#[cfg(any(test, feature = "testing"))]
pub(crate) mod standard;
#[cfg(test)]
mod tests;

//! Where a reader goes on: what a client says it has seen enters, what it gets next leaves.
//!
//! Invariant: whatever a client says, there is an answer; nothing here overflows.

use std::fmt;

use serde::Serialize;

use super::event::StreamId;

/// The last event that a client has seen, written `<stream>-<id>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The stream.
    pub stream: StreamId,
    /// The event's number in it; 0: none yet.
    pub id: u64,
}

impl Cursor {
    /// Reads a cursor. A number alone is one of the standalone stream. `None`: it is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (stream, id) = text.split_once('-').unwrap_or(("0", text));
        Some(Self { stream: StreamId(number(stream)?), id: number(id)? })
    }
}

/// Digits alone: no sign, no blanks.
fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.stream, self.id)
    }
}

/// Events that are gone before the reader had them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Lagged {
    /// How many.
    pub dropped: u64,
    /// What the reader had seen; 0: nothing, or nothing that makes sense.
    pub last_event_id: u64,
    /// The oldest that it can still get, or the next there will be.
    pub oldest_available: u64,
}

/// How a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replay {
    /// It gets what comes after this id.
    pub after: u64,
    /// It is told first that events are gone.
    pub lagged: Option<Lagged>,
}

/// What a ring holds, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    /// The last id that was there and is gone; 0: nothing is gone.
    pub(super) gone: u64,
    /// The oldest id that is there, or the next one where none is.
    pub(super) oldest: u64,
    /// The id of the next event.
    pub(super) next: u64,
}

/// What a client has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// It does not say: it is new.
    New,
    /// Up to this id, it says.
    UpTo(u64),
    /// What it says makes no sense.
    Garbage,
}

/// How a reader begins whose ring holds the ids from `oldest` to before `next` without a gap, and who has seen `cursor`:
/// `None` where it did not say, which replays all there is.
///
/// A cursor before the ring gets all of the ring after one [`Lagged`]; so does one that lies in the future, as if it had
/// seen nothing.
#[must_use]
pub fn replay(oldest: u64, next: u64, cursor: Option<u64>) -> Replay {
    Held { gone: oldest.saturating_sub(1), oldest, next }.replay(cursor.map_or(Seen::New, Seen::UpTo))
}

impl Held {
    pub(super) fn replay(self, seen: Seen) -> Replay {
        match seen {
            Seen::New => Replay { after: self.gone, lagged: None },
            Seen::UpTo(id) if id < self.next => self.behind(id),
            Seen::UpTo(_) | Seen::Garbage => Replay { after: self.gone, lagged: Some(self.lagged(0)) },
        }
    }

    /// How a reader goes on that has read up to `id`.
    pub(super) fn behind(self, id: u64) -> Replay {
        if id < self.gone {
            Replay { after: self.gone, lagged: Some(self.lagged(id)) }
        } else {
            Replay { after: id, lagged: None }
        }
    }

    fn lagged(self, last_event_id: u64) -> Lagged {
        let dropped = self.gone.saturating_sub(last_event_id);
        Lagged { dropped, last_event_id, oldest_available: self.oldest }
    }
}

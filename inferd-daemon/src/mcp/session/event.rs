//! What is said to a client on a stream.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::cursor::{Cursor, Lagged};

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// A stream begins.
    Init,
    /// A message of the protocol.
    Message,
    /// A message that a later one makes stale: readers that are far behind do without. On the wire it is a message.
    Progress,
    /// Events are gone that the reader had not seen.
    Lagged,
    /// The stream is alive.
    Heartbeat,
}

impl EventKind {
    const ALL: [Self; 5] = [Self::Init, Self::Message, Self::Progress, Self::Lagged, Self::Heartbeat];

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Its name, in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Message => "message",
            Self::Progress => "progress",
            Self::Lagged => "lagged",
            Self::Heartbeat => "heartbeat",
        }
    }
}

/// Names a stream of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct StreamId(pub(super) u64);

impl StreamId {
    /// The stream that belongs to no request.
    pub const STANDALONE: Self = Self(0);

    /// Its number: 0 for the standalone one, counting up from 1 for those of requests.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One event. Copies share the data.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamEvent {
    /// Its number in its stream, from 1. 0: it is synthetic, kept nowhere, and moves no cursor.
    pub id: u64,
    /// What it is about.
    pub kind: EventKind,
    /// What it says.
    pub data: Arc<Value>,
    /// The stream it belongs to.
    pub stream: StreamId,
}

impl StreamEvent {
    /// An event that is kept nowhere and carries no id.
    #[must_use]
    pub fn synthetic(stream: StreamId, kind: EventKind, data: Value) -> Self {
        Self { id: 0, kind, data: Arc::new(data), stream }
    }

    /// Says that events are gone.
    #[must_use]
    pub fn lagged(stream: StreamId, lagged: &Lagged) -> Self {
        let Lagged { dropped, last_event_id, oldest_available } = lagged;
        let data = json!({
            "dropped": dropped,
            "last_event_id": last_event_id,
            "oldest_available": oldest_available,
        });
        Self::synthetic(stream, EventKind::Lagged, data)
    }

    /// What a client says to go on after this event. `None` for a synthetic one.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        (self.id > 0).then_some(Cursor { stream: self.stream, id: self.id })
    }
}

//! Where sessions are kept over a restart: what changed enters, a whole session leaves.
//!
//! Invariant: a shelf may fail or forget; a session that is not on it costs its client an `initialize`, nothing else.

use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use super::event::{StreamEvent, StreamId};
use super::id::{Principal, SessionId};

/// What a shelf is busy with.
pub type Keeping<'a, T> = Pin<Box<dyn Future<Output = Result<T, ShelfError>> + Send + 'a>>;

/// The shelf cannot be reached now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sessions cannot be kept now")]
pub struct ShelfError;

/// Keeps sessions.
pub trait Shelf: Send + Sync + 'static {
    /// Keeps what changed and forgets the sessions that `ended`: all of it or nothing.
    fn save(&self, changes: Vec<Changes>, ended: Vec<SessionId>) -> Keeping<'_, ()>;

    /// The session as it was last kept, if it was.
    fn load(&self, id: SessionId) -> Keeping<'_, Option<Saved>>;

    /// All sessions there are, those used last first.
    fn known(&self) -> Keeping<'_, Vec<Known>>;
}

/// What a session is, beside its streams.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Whose it is.
    pub principal: Principal,
    /// The part of the principal's world it belongs to.
    pub tenant: Option<Arc<str>>,
    /// When it began, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last used, likewise.
    pub touched_ms: i64,
    /// What its client said when it began.
    pub initialize: Option<Arc<Value>>,
    /// The number of its next stream.
    pub next_stream: u64,
}

/// What is new of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    /// Which session.
    pub id: SessionId,
    /// What it is now.
    pub profile: Profile,
    /// All the streams it has; others are forgotten.
    pub streams: Vec<StreamId>,
    /// The streams of which something is new.
    pub changed: Vec<StreamChanges>,
}

/// What is new of a stream, and what it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamChanges {
    /// Which stream.
    pub id: StreamId,
    /// The request it answers.
    pub request: Option<Value>,
    /// Whether nothing comes on it any more.
    pub finished: bool,
    /// Events up to this one are gone.
    pub gone: u64,
    /// The id of its next event.
    pub next: u64,
    /// The events that are new, oldest first.
    pub events: Vec<StreamEvent>,
}

/// A whole session: its streams hold every event that is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Saved {
    /// What it is.
    pub profile: Profile,
    /// Its streams.
    pub streams: Vec<StreamChanges>,
}

/// A session that can be loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// Which.
    pub id: SessionId,
    /// Whose.
    pub principal: Principal,
    /// When it began, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last used, likewise.
    pub touched_ms: i64,
}

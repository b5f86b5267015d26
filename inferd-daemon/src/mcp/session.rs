//! Sessions of MCP clients: what was said to each stays here until it has been read, and is said once.
//!
//! A principal enters and gets a [`SessionId`]; events are published to the streams of its [`SessionState`], and
//! [`Reader`]s take them from any cursor on, as long as the ring of the stream still holds them.
//!
//! ```text
//! publish ─▶ ring of the stream ─▶ readers, each at its own cursor
//! ```
//!
//! A reader holds a position and no queue: one that is slow costs no memory and holds up nobody.
//!
//! Invariants:
//! - Publishing is one step: id, ring and the readers' news under one lock.
//! - Ids of a stream count up from 1. A cursor moves forward only, so nothing is read twice or out of order.
//! - Streams of one session never show each other's events; sessions are seen by their principal alone.
//! - Time is an argument. There is no HTTP here and no type of a protocol library.

mod attendance;
mod cursor;
mod event;
mod id;
mod limits;
mod persist;
mod reader;
mod ring;
mod shelf;
mod snapshot;
mod state;
mod store;
mod streams;

pub use cursor::{Cursor, Lagged, Replay, replay};
pub use event::{EventKind, StreamEvent, StreamId};
pub use id::{InvalidSessionId, Principal, SessionId};
pub use limits::{
    ABSOLUTE, BUFFER, INACTIVITY, OPEN_STREAMS_MAX, RING_BYTES_MAX, SESSIONS_MAX, SESSIONS_PER_PRINCIPAL_MAX,
    STREAMS_KEPT_MAX, SWEEP, UNREAD,
};
pub use reader::{Ended, Reader};
pub use shelf::{Changes, Keeping, Known, Profile, Saved, Shelf, ShelfError, StreamChanges};
pub use state::{InUse, SessionState};
pub use store::{Restored, SessionStore, StoreFull};
pub use streams::TooManyStreams;

#[cfg(test)]
mod tests;

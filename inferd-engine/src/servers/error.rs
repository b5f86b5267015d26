//! Why something cannot be had of a runtime or a registry.

use std::time::Duration;

use super::api::ApiError;
use super::id::{ServerId, ThreadKey};
use crate::tools::ToolError;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// There is a server of this id already; it stays.
    #[error("there is a server {0} already")]
    DuplicateServer(ServerId),
    /// There is none of this id, or none any more.
    #[error("there is no server {0:?}")]
    UnknownServer(String),
    /// This cannot be the id of a server.
    #[error("{0:?} is no server id: expected [a-z0-9][a-z0-9_-]{{0,31}} without `__`")]
    InvalidServerId(String),
    /// The runtime is disposed of.
    #[error("the runtime is disposed of")]
    Disposed,
    /// A wait for any of no sessions would never end.
    #[error("there is no session to wait for")]
    EmptyWait,
    /// None of the sessions waited for succeeded within so long.
    #[error("no session succeeded within {} ms", .0.as_millis())]
    WaitTimedOut(Duration),
    /// There would be more of something than there may be.
    #[error("at most {max} {what}")]
    Limit {
        /// Of what.
        what: Limited,
        /// How many there may be.
        max: usize,
    },
    /// A session of this conversation is under way.
    #[error("a session of thread {0} is under way")]
    ThreadBusy(ThreadKey),
    /// The server did not open the room or the thread.
    #[error("server {server_id}: {error}")]
    Api {
        /// The server.
        server_id: ServerId,
        /// What it said.
        error: ApiError,
    },
    /// The tools of the room could not be had.
    #[error("the tools for room {room:?} of server {server_id}: {error}")]
    Tools {
        /// The server.
        server_id: ServerId,
        /// The room.
        room: String,
        /// Why not.
        error: ToolError,
    },
    /// Room, thread and tools were not there within so long.
    #[error("server {server_id} opened no session within {} ms", after.as_millis())]
    SpawnTimedOut {
        /// The server.
        server_id: ServerId,
        /// The limit.
        after: Duration,
    },
}

/// What [`RuntimeError::Limit`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Limited {
    /// Sessions at once.
    #[error("sessions may run at once")]
    Sessions,
    /// Sessions one within another: a session spawned by a tool that a session called.
    #[error("sessions may run one within another")]
    Depth,
}

//! Conversations on many servers.
//!
//! A prompt enters by [`Spawn`]; an [`AgentSession`] leaves, which takes turns with a model and calls tools until it has
//! an answer. A server is a [`ServerConnection`]: what generates for it ([`RunStream`]) and what it knows of rooms, threads
//! and tools ([`ServerApi`]). An [`AgentRuntime`] runs the sessions of one server, a [`MultiServerRuntime`] those of all
//! in a [`ServerRegistry`]. How a turn comes to a model, and through which admission, is not decided here.
//!
//! Invariants:
//! - A session has exactly one [`AgentResult`], whatever happens to it, and its events end with it.
//! - A session ends when it is cancelled, its last handle is dropped, its server is removed, or its runtime is disposed
//!   of; its generation and its tool calls are dropped there and then.
//! - A reader that is slow slows the session; nothing is lost and nothing piles up.
//! - Every session is a task of its runtime's tracker, and [`MultiServerRuntime::dispose`] waits for all of them.
//! - Nothing waits for room: a session too many is refused.

mod api;
mod calls;
mod connection;
mod error;
mod event;
mod feed;
mod id;
mod limits;
mod multi;
mod nesting;
mod pool;
mod registry;
mod result;
mod room;
mod runtime;
mod session;
mod spawn;
mod task;
mod transcript;
mod turns;
mod wait;

pub use api::{ApiError, RunStream, ServerApi, Thread};
pub use connection::ServerConnection;
pub use error::{Limited, RuntimeError};
pub use event::AgentEvent;
pub use id::{SERVER_ID_CHARS_MAX, ServerId, ThreadKey};
pub use limits::Limits;
pub use multi::MultiServerRuntime;
pub use registry::ServerRegistry;
pub use result::{AgentFailure, AgentResult};
pub use room::Room;
pub use runtime::AgentRuntime;
pub use session::{AgentEvents, AgentSession};
pub use spawn::Spawn;

//! The door of the Model Context Protocol: a TCP listener enters, its clients are served until the daemon stops.
//!
//! ```text
//! socket ─▶ http (Host, Origin, key, caps) ─▶ rmcp (the protocol) ─▶ handler
//!                                               │
//!                                             manager ─▶ session (what was said, until it is read)
//! ```
//!
//! Invariants:
//! - Nothing is generated here; what a client asks for goes through [`crate::answer`] as from every door.
//! - No request is looked at before its Host, Origin and key were.

mod handler;
mod http;
pub(crate) mod lend;
mod manager;
#[cfg(test)]
mod scripted;
mod serve;
pub mod session;
mod tools;

pub(crate) use handler::{Desk, Handler};
pub use http::{Limits, McpConfig};
pub(crate) use lend::{Lending, Pool};
pub use manager::Hangup;
pub use serve::serve;
pub use session::{Principal, SessionStore};
pub(crate) use tools::Tools;

pub use crate::service::Stop;

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

mod federation;
mod handler;
mod http;
pub(crate) mod lend;
mod manager;
mod menu;
#[cfg(test)]
mod scripted;
mod serve;
pub mod session;
mod size;
mod tools;

pub(crate) use federation::Federation;
pub(crate) use handler::{Desk, Handler};
pub use http::{Limits, McpConfig};
pub(crate) use lend::{Lending, Pool};
pub use manager::Hangup;
pub(crate) use menu::Menu;
pub use serve::serve;
pub use session::{Principal, SessionStore};

pub use crate::service::Stop;

/// What the daemon itself offers to MCP clients.
pub(crate) fn own_menu() -> Menu {
    Menu::new(menu::Supplied {
        tools: tools::own(),
        resources: handler::resources::own(),
        ..menu::Supplied::default()
    })
}

//! Who asks, and through which door.

use std::sync::Arc;

use crate::queue::ClientKey;

/// Where a call came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The local socket.
    Ndjson,
    /// TCP.
    Tcp,
    /// The Model Context Protocol.
    Mcp,
}

impl Door {
    /// Its name in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Tcp => "tcp",
            Self::Mcp => "mcp",
        }
    }
}

/// A client as the log names it. Copies share the name.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Its name.
    pub client: Arc<str>,
    /// Its door.
    pub door: Door,
    /// Whose the conversations are that it begins: whoever has the same name here may go on with them.
    pub owner: Arc<str>,
}

impl Caller {
    /// The client that the gate knows by `key`.
    #[must_use]
    pub fn new(key: &ClientKey, door: Door) -> Self {
        let client = match key {
            ClientKey::Process { uid, pid } => format!("uid {uid} pid {pid}"),
            ClientKey::User { uid } => format!("uid {uid}"),
            ClientKey::Key(name) => format!("key {name}"),
            ClientKey::Connection(number) => format!("connection {number}"),
            ClientKey::Session(number) => format!("session {number}"),
        };
        let owner = match key {
            ClientKey::Process { uid, .. } | ClientKey::User { uid } => format!("uid {uid}"),
            ClientKey::Key(name) => format!("{} key {name}", door.as_str()),
            // Nobody knows them apart once they have come back.
            ClientKey::Connection(_) => door.as_str().to_owned(),
            ClientKey::Session(number) => format!("session {number}"),
        };
        Self { client: client.into(), door, owner: owner.into() }
    }
}

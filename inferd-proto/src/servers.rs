//! The upstream servers of a daemon: one request, one frame.

use serde::{Deserialize, Serialize};

/// Asks which servers there are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ServersRequest {
    /// Echoed on the answer.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
}

/// The answer to a [`ServersRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "servers")]
pub struct Servers {
    /// The request's id.
    pub id: String,
    /// Every server that is configured, sorted by id.
    pub servers: Vec<ServerInfo>,
    /// The rooms that agent turns may name, sorted.
    #[serde(default)]
    pub rooms: Vec<String>,
}

/// What is known of one server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerInfo {
    /// Its id; see [`crate::is_server_id`].
    pub server: String,
    /// How it is reached: `stdio`, `http` or `inferd`.
    pub kind: String,
    /// Whether it can be called.
    pub state: ServerState,
    /// How many tools it has, as far as they are known.
    pub tools: usize,
    /// How long its last answer took, in milliseconds; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// Why it cannot be called, or what went wrong last. Carries no secret and no path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Whether a server can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServerState {
    /// It has not answered yet.
    Connecting,
    /// It answers.
    Live,
    /// It does not answer any more; it is tried again, and its tools are stale meanwhile.
    Down,
    /// A word of a later version; never sent.
    #[serde(other)]
    Unknown,
}

impl ServerState {
    /// The state as it stands on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }
}

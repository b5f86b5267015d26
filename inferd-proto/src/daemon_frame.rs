//! A daemon's line, told apart by its `type`: what a client library reads.

use serde::{Deserialize, Serialize};

use crate::head::Head;
use crate::{Called, Embeddings, Response, Servers, Tools};

/// What a daemon may say.
#[derive(Debug, Clone, PartialEq)]
pub enum DaemonFrame {
    /// A frame of the answer to a request.
    Response(Response),
    /// What the daemon can do.
    Hello(Box<Hello>),
    /// The answer to an embedding request.
    Embeddings(Embeddings),
    /// The servers there are.
    Servers(Servers),
    /// The tools there are.
    Tools(Tools),
    /// The result of a call.
    Called(Called),
}

/// The answer to `hello`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "hello")]
pub struct Hello {
    /// The protocol's version: 1.
    pub protocol: u32,
    /// The daemon's version.
    pub version: String,
    /// Additive features it has, by name.
    pub features: Vec<String>,
    /// Its limits.
    pub limits: Limits,
    /// The models it serves.
    pub models: Vec<Model>,
}

/// A daemon's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The largest frame, in bytes.
    pub frame_bytes_max: usize,
    /// Requests open at once on one connection.
    pub open_requests_max: usize,
    /// Requests running at once.
    pub active: usize,
    /// Requests waiting at once.
    pub queue_depth: usize,
}

/// A model that a daemon serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Its name, as a request gives it; `*` where the lane takes any.
    pub name: String,
    /// The lane that serves it.
    pub backend: String,
    /// Whether that lane can take a request now.
    pub ready: bool,
    /// What kind of engine that lane is; empty where it is not said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
}

impl DaemonFrame {
    /// The id of the request that this frame answers; empty for `hello`, which answers none.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Response(response) => response.id(),
            Self::Hello(_) => "",
            Self::Embeddings(Embeddings { id, .. })
            | Self::Servers(Servers { id, .. })
            | Self::Tools(Tools { id, .. })
            | Self::Called(Called { id, .. }) => id,
        }
    }

    /// Reads a line.
    ///
    /// # Errors
    /// [`serde_json::Error`] for what is no frame of a daemon.
    pub fn parse(line: &[u8]) -> Result<Self, serde_json::Error> {
        // Most lines are frames of answers, which are read once.
        let error = match serde_json::from_slice(line) {
            Ok(response) => return Ok(Self::Response(response)),
            Err(error) => error,
        };
        match Head::of(line).kind.as_deref() {
            Some("hello") => serde_json::from_slice(line).map(|hello| Self::Hello(Box::new(hello))),
            Some("embeddings") => serde_json::from_slice(line).map(Self::Embeddings),
            Some("servers") => serde_json::from_slice(line).map(Self::Servers),
            Some("tools") => serde_json::from_slice(line).map(Self::Tools),
            Some("called") => serde_json::from_slice(line).map(Self::Called),
            _ => Err(error),
        }
    }
}

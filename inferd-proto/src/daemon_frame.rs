//! A daemon's line, told apart by its `type`: what a client library reads.

use serde::{Deserialize, Serialize};

use crate::{Embeddings, Response};

/// What a daemon may say.
#[derive(Debug, Clone, PartialEq)]
pub enum DaemonFrame {
    /// A frame of the answer to a request.
    Response(Response),
    /// What the daemon can do.
    Hello(Box<Hello>),
    /// The answer to an embedding request.
    Embeddings(Embeddings),
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
    /// Reads a line.
    ///
    /// # Errors
    /// [`serde_json::Error`] for what is no frame of a daemon.
    pub fn parse(line: &[u8]) -> Result<Self, serde_json::Error> {
        match serde_json::from_slice(line) {
            Ok(response) => Ok(Self::Response(response)),
            Err(error) => serde_json::from_slice(line)
                .map(|hello| Self::Hello(Box::new(hello)))
                .or_else(|_| serde_json::from_slice(line).map(Self::Embeddings))
                .map_err(|_| error),
        }
    }
}

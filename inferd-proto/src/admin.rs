//! The admin socket: where the daemon stands, and the commands it takes.

use serde::{Deserialize, Serialize};

/// Where the daemon stands. On the wire it is a `status` frame with id `admin`; [`AdminStatus::frame`] makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum AdminStatus {
    /// The process is up and holds the lock.
    Starting,
    /// A backend is being made ready.
    LoadingModel {
        /// How far it is.
        phase: LoadPhase,
        /// The backend's name.
        backend: String,
    },
    /// What a backend can do.
    Capabilities {
        /// The backend's name.
        backend: String,
        /// It takes images.
        vision: bool,
        /// It takes audio.
        audio: bool,
        /// It calls tools.
        tools: bool,
        /// It keeps reasoning apart from the answer.
        thinking: bool,
        /// It makes embeddings.
        embed: bool,
    },
    /// Requests are served.
    Ready,
    /// The daemon is starting over.
    Restarting,
    /// No new request is taken; running ones finish.
    Draining,
}

/// How far a backend is in becoming ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadPhase {
    /// It is being asked what it serves.
    CheckingLocal,
}

/// A command, one a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum AdminCommand {
    /// Send the state of lanes, queue and clients.
    Snapshot,
    /// Read the configuration again.
    Reload,
    /// Finish what runs, then stop.
    Drain,
}

/// What a reload of the configuration changed. On the wire it is a `reloaded` frame with id `admin`;
/// [`Reloaded::frame`] makes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reloaded {
    /// Backends of which nothing changed.
    pub kept: Vec<String>,
    /// Backends that stay and are used otherwise: priority, aliases, a limit.
    pub adjusted: Vec<String>,
    /// Backends made anew: their address, key, models or time-outs changed.
    pub rebuilt: Vec<String>,
    /// Backends there were not before.
    pub added: Vec<String>,
    /// Backends that finish what they run and are no more.
    pub removed: Vec<String>,
    /// Other settings that changed and hold from here on, as `[section] key`.
    pub settings: Vec<String>,
    /// Settings that changed and wait for a restart, as `[section] key`.
    pub needs_restart: Vec<String>,
}

impl AdminStatus {
    /// The frame to send: this status beside id `admin` and type `status`.
    #[must_use]
    pub fn frame(&self) -> impl Serialize + '_ {
        Frame { id: "admin", r#type: "status", body: self }
    }
}

impl Reloaded {
    /// The frame to send: this beside id `admin` and type `reloaded`.
    #[must_use]
    pub fn frame(&self) -> impl Serialize + '_ {
        Frame { id: "admin", r#type: "reloaded", body: self }
    }
}

/// What goes out on the admin socket.
#[derive(Serialize)]
struct Frame<'a, T> {
    id: &'static str,
    r#type: &'static str,
    #[serde(flatten)]
    body: &'a T,
}

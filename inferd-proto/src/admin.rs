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

impl AdminStatus {
    /// The frame to send: this status beside id `admin` and type `status`.
    #[must_use]
    pub fn frame(&self) -> impl Serialize + '_ {
        #[derive(Serialize)]
        struct Frame<'a> {
            id: &'static str,
            r#type: &'static str,
            #[serde(flatten)]
            status: &'a AdminStatus,
        }
        Frame { id: "admin", r#type: "status", status: self }
    }
}

//! What a connected server can be asked, whatever it speaks: the seam between supervision and protocols.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};

/// Connects to one server, any number of times.
#[async_trait]
pub(super) trait Connect: Send + Sync {
    /// A session, or why there is none. Dropped before its end, it leaves nothing behind.
    async fn connect(&self) -> Result<Arc<dyn Session>, String>;
}

/// A connected server. Dropping a question that is not answered yet cancels it there.
#[async_trait]
pub(super) trait Session: Send + Sync + fmt::Debug {
    /// Whether it has such lists at all.
    fn has(&self, list: List) -> bool;

    /// One page of a list, as the protocol has it.
    async fn page(&self, list: List, cursor: Option<String>) -> Result<Value, Fault>;

    /// Asks for one thing, once. What is said of its progress is put into `progress`, or dropped where that is full.
    async fn ask(&self, ask: Ask, progress: mpsc::Sender<Progress>) -> Result<Value, Fault>;

    /// Whether it still answers.
    async fn ping(&self) -> Result<(), Fault>;

    /// Counts the times that it said that one of its lists has changed.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Works as long as the session lasts; why it ended. Has to be polled for the session to be of use.
    async fn run(&self) -> String;

    /// Ends the session, and waits until nothing of it is left.
    async fn close(&self);
}

/// What a server lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Tools,
    Resources,
    Templates,
    Prompts,
}

impl List {
    pub(super) const ALL: [Self; 4] = [Self::Tools, Self::Resources, Self::Templates, Self::Prompts];

    /// The key of the list in a page of it.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
            Self::Prompts => "prompts",
        }
    }
}

/// A question to a server, in its own names.
#[derive(Debug, Clone)]
pub(super) enum Ask {
    Tool { name: String, arguments: Option<Map<String, Value>> },
    Resource { uri: String },
    Prompt { name: String, arguments: Option<Map<String, Value>> },
}

/// How far a call is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Progress {
    /// What has been done, in the server's own measure; only ever more.
    pub progress: f64,
    /// What there is to do in that measure, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<f64>,
    /// What is being done, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Why a server did not answer as it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// It is gone, or cannot be reached.
    #[error("{0}")]
    Lost(String),
    /// It said no.
    #[error("{message}")]
    Refused { code: i64, message: String },
}

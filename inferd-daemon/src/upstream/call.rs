//! One call of an upstream server: let in, asked once, waited for with patience that progress renews.
//!
//! Invariants:
//! - A call ends: with its result, or with a reason that names the server.
//! - Dropping a call cancels it upstream, and so does running out of patience.

use std::future::pending;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::patience::Patience;
use super::session::{Ask, Fault, Progress};
use super::slot::{CALLS_MAX, Slot};

/// Words of progress that may wait to be passed on; those beyond are dropped.
const PROGRESS_MAX: usize = 64;

/// What JSON-RPC calls invalid parameters.
const INVALID_PARAMS: i64 = -32602;

/// The result of a tool, which may say that the tool failed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CallResult {
    /// Blocks of content, as the protocol has them.
    pub content: Vec<Value>,
    /// The same as a value, where the tool has a schema for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub structured: Option<Value>,
    /// Whether the tool failed; the content says why.
    pub is_error: bool,
    /// What the server says of the result besides.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<Value>,
}

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No server offers this.
    #[error("there is no {what} `{name}`")]
    Unknown {
        /// `tool`, `resource` or `prompt`.
        what: &'static str,
        /// The name that was asked for.
        name: String,
    },
    /// The server is not connected; nothing was sent.
    #[error("server `{server}` is not connected: {reason}")]
    NotConnected {
        /// Its id.
        server: String,
        /// Why not.
        reason: String,
    },
    /// The server has as many calls open as it may; nothing was sent.
    #[error("server `{server}` has {CALLS_MAX} calls open already")]
    Busy {
        /// Its id.
        server: String,
    },
    /// The server was lost: whether it did what it was asked to is not known.
    #[error("server `{server}` was lost during the call: {reason}")]
    Lost {
        /// Its id.
        server: String,
        /// How.
        reason: String,
    },
    /// The server was silent for too long, and was told that nobody waits any more.
    #[error("server `{server}` did not answer within {} s", after.as_secs_f64())]
    TimedOut {
        /// Its id.
        server: String,
        /// How long it was given.
        after: Duration,
    },
    /// The server refused.
    #[error("server `{server}` refused: {message}")]
    Refused {
        /// Its id.
        server: String,
        /// The JSON-RPC code.
        code: i64,
        /// Its words.
        message: String,
    },
    /// The server answered with what is no result.
    #[error("server `{server}` answered with what is no result: {reason}")]
    Malformed {
        /// Its id.
        server: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl CallError {
    /// Whether the call is wrong, and would be wrong again.
    #[must_use]
    pub fn blames_the_call(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::Refused { code: INVALID_PARAMS, .. })
    }

    /// Whether the server never saw the call, so that asking again can do nothing twice.
    #[must_use]
    pub fn was_not_sent(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::NotConnected { .. } | Self::Busy { .. })
    }
}

/// Asks the server of `slot`, and waits.
pub(super) async fn ask(
    slot: &Slot,
    ask: Ask,
    patience: &Patience,
    mut on_progress: impl FnMut(Progress) + Send,
) -> Result<Value, CallError> {
    let access = slot.access()?;
    let server = || slot.id.clone();
    let (tell, mut told) = mpsc::channel(PROGRESS_MAX);
    let begun = Instant::now();
    let mut silence = begun + patience.call;
    let mut answer = access.session.ask(ask, tell);
    loop {
        let deadline = silence.min(begun + patience.call_in_all);
        tokio::select! {
            // What was said before the answer is passed on before it.
            biased;
            Some(progress) = told.recv() => {
                silence = Instant::now() + patience.call;
                on_progress(progress);
            }
            answer = &mut answer => return answer.map_err(|fault| match fault {
                Fault::Lost(reason) => CallError::Lost { server: server(), reason },
                Fault::Refused { code, message } => CallError::Refused { server: server(), code, message },
            }),
            () = sleep_until(deadline) => {
                let after = deadline - begun;
                return Err(CallError::TimedOut { server: server(), after });
            }
            () = pending() => {}
        }
    }
}

impl CallResult {
    /// The result that `server` gave.
    pub(super) fn read(server: &str, result: Value) -> Result<Self, CallError> {
        let malformed =
            |reason: &str| CallError::Malformed { server: server.to_owned(), reason: reason.to_owned() };
        let Value::Object(mut result) = result else { return Err(malformed("expected an object")) };
        match result.get("resultType").and_then(Value::as_str) {
            None | Some("complete") => {}
            Some(_) => return Err(malformed("it asks for more, which nobody here can give")),
        }
        let content = match result.remove("content") {
            Some(Value::Array(content)) => content,
            None | Some(Value::Null) => Vec::new(),
            Some(_) => return Err(malformed("its content is no list")),
        };
        let structured = result.remove("structuredContent");
        if content.is_empty() && structured.is_none() && !result.contains_key("isError") {
            // An empty list of content is a result; nothing at all is something else.
            if !result.is_empty() {
                return Err(malformed("it has no content"));
            }
        }
        let is_error = result.get("isError").and_then(Value::as_bool).unwrap_or(false);
        Ok(Self { content, structured, is_error, meta: result.remove("_meta") })
    }
}

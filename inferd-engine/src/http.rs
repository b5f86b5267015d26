//! A small HTTP/1.1 client for engines: a request goes out, a status, headers and a body of chunks come back.
//!
//! There is no task behind a connection. Hyper's driver belongs to the [`Body`] being read and is polled in the
//! same task, so a chunk costs no wake-up across tasks, and dropping the body closes the socket there and then.
//!
//! Invariants:
//! - Redirects are never followed and proxies never used: a key goes to the configured host or nowhere.
//! - A connection is reused only when its last answer was read to the end.
//! - No text made here holds a key; what a server said passes a [`Redactor`] before anybody sees it.

mod body;
mod client;
mod connect;
mod link;
mod origin;
mod redact;
mod refusal;
mod socket;
pub(crate) mod sse;
mod tls;

pub(crate) use body::Body;
pub(crate) use client::{Answer, Ask, Client};
pub(crate) use connect::tcp;
pub use origin::BadUrl;
pub(crate) use origin::Origin;
pub(crate) use redact::Redactor;
pub(crate) use refusal::{blame, refusal};
pub(crate) use sse::{EVENT_BYTES_MAX, Event, EventTooLong, Sse};

use std::error::Error;
use std::io;

use crate::GenerateError;

/// An exchange that failed before or beside what the server said.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// No connection came about.
    #[error("connect to {to}: {why}")]
    Connect {
        /// Host and port.
        to: String,
        /// The last of the reasons, one an address.
        why: String,
    },
    /// The connection ended in the middle of an exchange.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The body is longer than anyone wants to hold.
    #[error("the answer exceeds {0} bytes")]
    TooLarge(usize),
}

impl From<HttpError> for GenerateError {
    fn from(error: HttpError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<hyper::Error> for HttpError {
    fn from(error: hyper::Error) -> Self {
        Self::Broken(if error.is_incomplete_message() {
            "closed by the server".to_owned()
        } else if error.is_parse() {
            "the server does not speak HTTP/1.1".to_owned()
        } else {
            root_cause(&error)
        })
    }
}

/// The deepest cause, where it is an I/O error by its kind alone: `connection reset`.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.downcast_ref().map_or_else(|| cause.to_string(), io_reason)
}

/// An I/O error by its kind, or in its own words where the kind says nothing.
pub(crate) fn io_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::Other | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => error.to_string(),
        kind => kind.to_string(),
    }
}

//! A small HTTP/1.1 client for engines: a request goes out, a status, headers and a body of chunks come back.
//!
//! There is no task behind a connection: it belongs to the [`Body`] being read and is read in the same task, so a chunk
//! costs no wake-up across tasks, and dropping the body closes the socket there and then. Chunks that arrive together
//! are lent as one.
//!
//! Invariants:
//! - Redirects are never followed and proxies never used: a key goes to the configured host or nowhere.
//! - A connection is reused only when its last answer was read to the end.
//! - No text made here holds a key; what a server said passes a [`Redactor`] before anybody sees it.

mod body;
mod chunked;
mod client;
mod connect;
mod framing;
mod head;
#[cfg(feature = "testing")]
mod heard;
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
#[cfg(feature = "testing")]
pub(crate) use heard::heard;
pub use origin::BadUrl;
pub(crate) use origin::Origin;
pub(crate) use redact::Redactor;
pub(crate) use refusal::{blame, refusal};
pub(crate) use sse::{EVENT_BYTES_MAX, Event, EventTooLong, Sse};

use std::io;

use crate::GenerateError;
use chunked::BadChunk;
use head::BadHead;

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

impl HttpError {
    /// The connection ended where more was due.
    fn closed() -> Self {
        Self::Broken("closed by the server".to_owned())
    }
}

impl From<io::Error> for HttpError {
    fn from(error: io::Error) -> Self {
        Self::Broken(io_reason(&error))
    }
}

impl From<BadHead> for HttpError {
    fn from(error: BadHead) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<BadChunk> for HttpError {
    fn from(error: BadChunk) -> Self {
        Self::Broken(error.to_string())
    }
}

/// An I/O error by its kind, or in its own words where the kind says nothing.
pub(crate) fn io_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::Other | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => error.to_string(),
        kind => kind.to_string(),
    }
}

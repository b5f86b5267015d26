//! Why a client has no answer, or no more of it.

use std::io;
use std::sync::Arc;

use inferd_proto::{ErrorCode, MAX_FRAME_BYTES, QueueState};

use crate::client::Address;

/// Why a request could not be sent, or its answer not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there, or not for us.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where.
        address: Address,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The connection ended first.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// Another request of this connection has that id and is still open.
    #[error("a request with id `{0}` is open already")]
    IdInUse(String),
    /// The request is larger than any daemon takes.
    #[error("request exceeds {MAX_FRAME_BYTES} bytes")]
    FrameTooLarge,
    /// The request is not JSON, as with a temperature that is not a number.
    #[error("cannot encode request")]
    Encode(#[source] serde_json::Error),
    /// The daemon refused a request that one frame would have answered.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// The request was cancelled before the one frame came that would have answered it.
    #[error("cancelled")]
    Cancelled,
    /// The daemon does not know `hello`; the text is its reason.
    #[error("daemon does not say what it can do: {0}")]
    NoHello(String),
}

impl ClientError {
    /// Whether no daemon runs there, as far as the system tells.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Connect { source, .. } if is_absence(source))
    }
}

/// Whether a failed connect means that nobody listens.
pub(crate) fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// An `error` frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// When trying again is worth while, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// With `queue_full`: how full it is.
    pub queue: Option<QueueState>,
}

/// Why a connection ended; every answer open on it ends with this.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Broken {
    /// The daemon closed it.
    #[error("the daemon closed the connection")]
    Closed,
    /// The daemon closed it without having said a thing.
    #[error(
        "the daemon closed the connection without a word, as it does on TCP where the key is wrong or missing"
    )]
    Unheard,
    /// The daemon closed it and said why, in a frame that named no request.
    #[error("the daemon closed the connection: {message}")]
    Said {
        /// The code of that frame.
        code: ErrorCode,
        /// Its message.
        message: String,
    },
    /// The transport failed.
    #[error("the connection to the daemon was lost")]
    Io(#[source] Arc<io::Error>),
    /// What came is not the protocol.
    #[error("what answers there does not speak the protocol: {0}")]
    NotProtocol(String),
}

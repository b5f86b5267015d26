//! Whether a peer that stopped sending is still there.

use std::io;
use std::task::{Context, Poll};

/// Waits for the peer to be gone.
#[derive(Debug)]
pub(crate) enum Hangup {
    /// A pipe has no half-closed state: its end is the peer's.
    Gone,
    /// Only a failing write will tell.
    Untold,
}

impl Hangup {
    #[expect(clippy::unnecessary_wraps, reason = "the signature is the one of all platforms")]
    pub(crate) fn of(_socket: &tokio::net::TcpStream) -> io::Result<Self> {
        Ok(Self::Untold)
    }

    /// Ready when the peer is gone.
    pub(crate) fn poll(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Gone => Poll::Ready(()),
            Self::Untold => Poll::Pending,
        }
    }
}

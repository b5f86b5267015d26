//! Whether a peer that stopped sending is still there.
//!
//! The hang-up is an event of the descriptor; it is watched on a duplicate, so that waiting for it does not disturb
//! whoever writes.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll, ready};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Waits for the peer to be gone.
#[derive(Debug)]
pub(crate) enum Hangup {
    /// The descriptor tells.
    Told(AsyncFd<OwnedFd>),
    /// Only a failing write will tell.
    #[cfg(test)]
    Untold,
}

impl Hangup {
    pub(crate) fn of(socket: &impl AsFd) -> io::Result<Self> {
        let duplicate = socket.as_fd().try_clone_to_owned()?;
        // SAFETY: an `OwnedFd` names the same open descriptor until it is dropped, which is all that is asked.
        #[expect(unsafe_code, reason = "the runtime has no safe way to watch a descriptor")]
        let watched = unsafe { AsyncFd::register_with_interest(duplicate, Interest::WRITABLE) }?;
        Ok(Self::Told(watched))
    }

    /// Ready when the peer is gone.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Told(watched) => loop {
                let Ok(mut event) = ready!(watched.poll_write_ready(cx)) else { return Poll::Ready(()) };
                if event.ready().is_write_closed() {
                    return Poll::Ready(());
                }
                event.clear_ready();
            },
            #[cfg(test)]
            Self::Untold => Poll::Pending,
        }
    }
}

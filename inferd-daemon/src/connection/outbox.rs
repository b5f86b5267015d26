//! Frames on their way out: many calls write, the connection takes all of it at once.
//!
//! Invariant: what waits here is bounded. A call that finds [`BEHIND_BYTES`] waiting waits too, so each call adds at most one
//! frame beyond that.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::AsyncWrite;

/// A reader with this much waiting for it is behind.
const BEHIND_BYTES: usize = 64 * 1024;

/// The buffer a connection starts an answer with.
const FIRST_BYTES: usize = 512;

/// What a quiet connection may keep of its buffers.
const KEPT_BYTES: usize = 1024;

/// Written by calls, emptied by the connection; both live on one task, so the lock is never waited for.
#[derive(Debug, Default)]
pub(super) struct Outbox(Mutex<Frames>);

#[derive(Debug, Default)]
struct Frames {
    bytes: Vec<u8>,
    waiting: Vec<Waker>,
}

impl Outbox {
    /// Adds frames.
    pub(super) fn put<R>(&self, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let mut frames = self.lock();
        if frames.bytes.capacity() == 0 {
            frames.bytes.reserve(FIRST_BYTES);
        }
        write(&mut frames.bytes)
    }

    /// Waits while the reader is behind.
    pub(super) async fn room(&self) {
        poll_fn(|cx| {
            let mut frames = self.lock();
            if frames.bytes.len() < BEHIND_BYTES {
                return Poll::Ready(());
            }
            frames.waiting.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Whether what is only nice to know may be said.
    pub(super) fn has_room(&self) -> bool {
        self.lock().bytes.len() < BEHIND_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().bytes.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Frames> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection's end of the outbox: what is being written now.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    written: usize,
}

impl Writer {
    /// Writes all that waits. Ready when nothing does.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        outbox: &Outbox,
        socket: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.is_empty() {
                self.bytes.clear();
                self.written = 0;
                let mut frames = outbox.lock();
                if frames.bytes.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                std::mem::swap(&mut self.bytes, &mut frames.bytes);
                // The first to wait is the one that filled it: it goes last now, so that none starves another.
                let turn = frames.waiting.len().min(1);
                frames.waiting.rotate_left(turn);
                frames.waiting.drain(..).for_each(Waker::wake);
            }
            match ready!(Pin::new(&mut *socket).poll_write(cx, &self.bytes[self.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written += written,
            }
        }
    }

    /// Whether nothing is half written.
    pub(super) fn is_empty(&self) -> bool {
        self.written == self.bytes.len()
    }

    /// Whether the client does not read what it is sent.
    pub(super) fn is_behind(&self, outbox: &Outbox) -> bool {
        !self.is_empty() && self.bytes.len() - self.written + outbox.lock().bytes.len() >= BEHIND_BYTES
    }

    /// Gives back what a quiet connection does not need.
    pub(super) fn shrink(&mut self) {
        if self.bytes.capacity() > KEPT_BYTES {
            *self = Self::default();
        }
    }
}

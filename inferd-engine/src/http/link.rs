//! One connection as a plain value: a request goes out, a head and a body come in, in the task of whoever waits.
//!
//! Invariants:
//! - At most [`READ_BYTES`] beyond what was asked for are held.
//! - Only a connection whose last body was read to its end, and that has said nothing since, is used again.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::HttpError;
use super::framing::Framing;
use super::head::{self, Head};
use super::socket::Socket;
use crate::idle::{Fitness, Kept};

/// The most bytes of one read.
const READ_BYTES: usize = 16 * 1024;
/// With less room than this left another buffer is begun.
const ROOM_BYTES_MIN: usize = 2 * 1024;
/// The most bytes of an answer's rest that are thrown away to keep its connection.
const REST_BYTES_MAX: usize = 64 * 1024;

pub(super) struct Link {
    socket: Socket,
    /// What was read and not yet taken.
    buffer: BytesMut,
    /// What is still to come of the body.
    framing: Framing,
    /// Whether another exchange may follow.
    lasting: bool,
}

/// An exchange without an answer.
pub(super) struct Unanswered {
    pub(super) error: HttpError,
    /// Whether the server had not said one byte, so that on a reused connection it may never have seen the request.
    pub(super) silent: bool,
}

impl Link {
    pub(super) fn new(socket: Socket) -> Self {
        Self { socket, buffer: BytesMut::new(), framing: Framing::Length(0), lasting: true }
    }

    /// Sends `request` and waits for the head of its answer.
    ///
    /// A server that refuses a request may answer before it has read all of it, or hang up on the rest: what it says
    /// counts, and that sending failed is told by reading too.
    pub(super) async fn exchange(
        mut self,
        mut request: impl Buf,
    ) -> Result<(StatusCode, HeaderMap, Self), Unanswered> {
        let (mut sending, mut silent) = (true, true);
        let head = poll_fn(|cx| {
            sending = sending && self.poll_send(&mut request, cx).is_pending();
            self.poll_head(&mut silent, cx)
        });
        match head.await {
            Ok(Head { status, headers, framing, lasting }) => {
                self.framing = framing;
                self.lasting = lasting && !request.has_remaining();
                Ok((status, headers, self))
            }
            Err(error) => Err(Unanswered { error, silent }),
        }
    }

    fn poll_send(&mut self, request: &mut impl Buf, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while request.has_remaining() {
            if ready!(pin!(self.socket.write_buf(request)).poll(cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        pin!(self.socket.flush()).poll(cx)
    }

    fn poll_head(&mut self, silent: &mut bool, cx: &mut Context<'_>) -> Poll<Result<Head, HttpError>> {
        loop {
            if let Some(head) = head::take(&mut self.buffer)? {
                return Poll::Ready(Ok(head));
            }
            if ready!(self.poll_read(cx))? == 0 {
                return Poll::Ready(Err(HttpError::closed()));
            }
            *silent = false;
        }
    }

    /// The next piece of the body; never empty. `None` is its complete end.
    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, HttpError>>> {
        while !self.framing.is_over() {
            if !self.buffer.is_empty() {
                let data = self.framing.take(&mut self.buffer)?;
                if !data.is_empty() {
                    return Poll::Ready(Some(Ok(data)));
                }
                continue;
            }
            if ready!(self.poll_read(cx))? == 0 {
                if !matches!(self.framing, Framing::UntilClose) {
                    return Poll::Ready(Some(Err(HttpError::closed())));
                }
                self.framing = Framing::Length(0);
            }
        }
        Poll::Ready(None)
    }

    /// Reads more, or 0 bytes at the end of the connection.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.buffer.capacity() - self.buffer.len() < ROOM_BYTES_MIN {
            self.buffer.reserve(READ_BYTES);
        }
        pin!(self.socket.read_buf(&mut self.buffer)).poll(cx)
    }
}

impl Kept for Link {
    /// Reads what is left of the answer before, and notices whether the server has hung up or says what nobody asked
    /// for. The task polling last is forgotten, so an idle connection wakes nobody.
    fn fitness(&mut self) -> Fitness {
        let cx = &mut Context::from_waker(Waker::noop());
        let mut read = 0;
        loop {
            match self.poll_chunk(cx) {
                Poll::Ready(None) => break,
                Poll::Ready(Some(Ok(chunk))) if read < REST_BYTES_MAX => read += chunk.len(),
                Poll::Ready(Some(_)) => return Fitness::Dead,
                Poll::Pending => return Fitness::Busy,
            }
        }
        let quiet = self.lasting && self.buffer.is_empty() && self.poll_read(cx).is_pending();
        if quiet { Fitness::Free } else { Fitness::Dead }
    }
}

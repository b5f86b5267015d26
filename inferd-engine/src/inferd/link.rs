//! One connection as a plain value: bytes not yet sent, and the lines that come.
//!
//! Invariants:
//! - Nothing is read or written but while somebody polls.
//! - What is held is one frame of at most [`MAX_FRAME_BYTES`], one chunk, and the request.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::buf::Chain;
use bytes::{Buf, Bytes};
use inferd_proto::{FrameTooLarge, Lines, MAX_FRAME_BYTES};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::dial::Transport;
use crate::GenerateError;
use crate::http::io_reason;
use crate::idle::{Fitness, Kept};

/// The most bytes of one read.
const CHUNK_BYTES: usize = 16 * 1024;

pub(super) struct Link {
    io: Box<dyn Transport>,
    unsent: Chain<Bytes, Bytes>,
    /// Why the rest of `unsent` cannot be sent. What the other daemon said before it closed is still read.
    write_error: Option<io::Error>,
    lines: Lines,
    chunk: Box<[u8]>,
    /// What of `chunk` was read but not yet taken.
    rest: Range<usize>,
    /// Something came since the last request was given.
    heard: bool,
    /// The other daemon has said all it will.
    ended: bool,
}

/// Why an answer is not to be had, or no more of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// The connection was closed.
    #[error("closed by the other daemon")]
    Closed,
    /// The transport failed.
    #[error("{}", io_reason(.0))]
    Io(io::Error),
    /// No daemon sends so much in one line.
    #[error(transparent)]
    TooLong(#[from] FrameTooLarge),
    /// What came is no frame of the protocol, or none of this answer.
    #[error("{0}")]
    Garbled(String),
}

impl Broken {
    /// Whether the connection just ended.
    pub(super) fn is_hang_up(&self) -> bool {
        match self {
            Self::Closed => true,
            Self::Io(error) => matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::NotConnected
            ),
            Self::TooLong(_) | Self::Garbled(_) => false,
        }
    }
}

impl From<serde_json::Error> for Broken {
    fn from(error: serde_json::Error) -> Self {
        Self::Garbled(error.to_string())
    }
}

impl From<Broken> for GenerateError {
    fn from(broken: Broken) -> Self {
        Self::Unavailable(match broken {
            Broken::Garbled(why) => format!("the answer is not understood: {why}"),
            Broken::Closed | Broken::Io(_) | Broken::TooLong(_) => {
                format!("the answer was cut short: {broken}")
            }
        })
    }
}

impl Link {
    pub(super) fn new(io: Box<dyn Transport>) -> Self {
        Self {
            io,
            unsent: Bytes::new().chain(Bytes::new()),
            write_error: None,
            lines: Lines::new(MAX_FRAME_BYTES),
            chunk: vec![0; CHUNK_BYTES].into_boxed_slice(),
            rest: 0..0,
            heard: false,
            ended: false,
        }
    }

    /// Gives the next request; it is sent as the answer is waited for.
    pub(super) fn send(&mut self, before: Bytes, line: Bytes) {
        self.unsent = before.chain(line);
        self.heard = false;
    }

    /// Whether not one byte came since the last request was given.
    pub(super) fn is_silent(&self) -> bool {
        !self.heard
    }

    /// Whether the other daemon will say nothing more.
    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether all that came was taken, and all that was given was sent.
    pub(super) fn is_done_with(&self) -> bool {
        !self.ended && self.rest.is_empty() && !self.lines.is_mid_line() && !self.unsent.has_remaining()
    }

    /// The next line, as `read` reads it.
    pub(super) fn poll_line<T>(
        &mut self,
        cx: &mut Context<'_>,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Poll<Result<T, Broken>> {
        self.drain(cx);
        loop {
            let mut input = &self.chunk[self.rest.clone()];
            let line = self.lines.next(&mut input)?;
            self.rest.start = self.rest.end - input.len();
            if let Some(line) = line {
                return Poll::Ready(Ok(read(line)));
            }
            if self.ended {
                return Poll::Ready(Err(self.write_error.take().map_or(Broken::Closed, Broken::Io)));
            }
            match ready!(self.poll_chunk(cx)) {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(Broken::Io(error))),
            }
            if self.ended
                && let Some(line) = self.lines.finish()
            {
                return Poll::Ready(Ok(read(line)));
            }
        }
    }

    /// Reads into the empty chunk; 0 is the end.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut chunk = ReadBuf::new(&mut self.chunk);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut chunk))?;
        let read = chunk.filled().len();
        self.rest = 0..read;
        self.heard |= read > 0;
        Poll::Ready(Ok(read))
    }

    /// Sends what can be sent.
    fn drain(&mut self, cx: &mut Context<'_>) {
        while self.unsent.has_remaining() && self.write_error.is_none() {
            let mut slices = [IoSlice::new(&[]); 2];
            let parts = self.unsent.chunks_vectored(&mut slices);
            match Pin::new(&mut self.io).poll_write_vectored(cx, &slices[..parts]) {
                Poll::Ready(Ok(0)) => self.write_error = Some(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(sent)) => self.unsent.advance(sent),
                Poll::Ready(Err(error)) => self.write_error = Some(error),
                Poll::Pending => return,
            }
        }
    }
}

impl Kept for Link {
    /// A daemon has nothing to say to nobody: what comes now is an end, or out of step.
    fn fitness(&mut self) -> Fitness {
        match self.poll_chunk(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => Fitness::Free,
            Poll::Ready(_) => Fitness::Dead,
        }
    }
}

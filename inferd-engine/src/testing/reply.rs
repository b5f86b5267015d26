//! What an [`Upstream`](super::upstream::Upstream) says to one request, piece by piece.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Notify;

/// One scripted response. Its pieces are sent in order, each in a write of its own.
#[derive(Debug, Clone)]
pub struct Reply {
    pub(super) head: Option<Vec<u8>>,
    pub(super) framing: Framing,
    pub(super) pieces: Vec<Piece>,
    pub(super) close_after: bool,
}

/// How the end of the body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// `transfer-encoding: chunked`, a chunk a piece.
    Chunked,
    /// `content-length`, as long as the pieces are together.
    Length,
    /// By the end of the connection.
    Close,
    /// By the pieces themselves.
    Pieces,
}

#[derive(Debug, Clone)]
pub(super) enum Piece {
    Bytes(Bytes),
    Wait(Arc<Notify>),
    Hang,
    Reset,
    End,
}

impl Reply {
    /// A chunked response with this status and no headers.
    #[must_use]
    pub fn status(status: u16) -> Self {
        let head = format!("HTTP/1.1 {status} Scripted\r\n").into_bytes();
        Self { head: Some(head), framing: Framing::Chunked, pieces: Vec::new(), close_after: false }
    }

    /// A response without a head of its own: its pieces are all that is sent.
    #[must_use]
    pub fn raw() -> Self {
        Self { head: None, framing: Framing::Close, pieces: Vec::new(), close_after: true }
    }

    /// Lines, one a frame, on a connection that goes on.
    #[must_use]
    pub fn frames<'f>(frames: impl IntoIterator<Item = &'f Value>) -> Self {
        let reply = Self { head: None, framing: Framing::Pieces, pieces: Vec::new(), close_after: false };
        frames.into_iter().fold(reply, |reply, frame| reply.text(&format!("{frame}\n")))
    }

    /// JSON of known length.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self::status(status).header("content-type", "application/json").text(&body.to_string()).with_length()
    }

    /// Server-sent events, a chunk each.
    #[must_use]
    pub fn events<E: AsRef<str>>(events: impl IntoIterator<Item = E>) -> Self {
        let reply = Self::status(200).header("content-type", "text/event-stream");
        events.into_iter().fold(reply, |reply, event| reply.event(event.as_ref()))
    }

    /// JSON objects, a line and a chunk each.
    #[must_use]
    pub fn lines<L: AsRef<str>>(lines: impl IntoIterator<Item = L>) -> Self {
        let reply = Self::status(200).header("content-type", "application/x-ndjson");
        lines.into_iter().fold(reply, |reply, line| reply.text(&format!("{}\n", line.as_ref())))
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Some(head) = &mut self.head {
            head.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        self
    }

    /// Then sends these bytes.
    #[must_use]
    pub fn bytes(self, bytes: impl Into<Bytes>) -> Self {
        self.then(Piece::Bytes(bytes.into()))
    }

    /// Then sends this text.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.bytes(text.to_owned())
    }

    /// Then sends an event with this data.
    #[must_use]
    pub fn event(self, data: &str) -> Self {
        self.bytes(format!("data: {data}\n\n"))
    }

    /// Then waits for a permit of `gate`.
    #[must_use]
    pub fn wait(self, gate: &Arc<Notify>) -> Self {
        self.then(Piece::Wait(Arc::clone(gate)))
    }

    /// Then does nothing more until the client leaves.
    #[must_use]
    pub fn hang(self) -> Self {
        self.then(Piece::Hang)
    }

    /// Then resets the connection.
    #[must_use]
    pub fn reset(self) -> Self {
        self.then(Piece::Reset)
    }

    /// Then closes the connection, whatever the head promised.
    #[must_use]
    pub fn end(self) -> Self {
        self.then(Piece::End)
    }

    /// The length is told in the head.
    #[must_use]
    pub fn with_length(mut self) -> Self {
        self.framing = Framing::Length;
        self
    }

    /// The body lasts as long as the connection.
    #[must_use]
    pub fn until_close(mut self) -> Self {
        self.framing = Framing::Close;
        self
    }

    /// The pieces hold whatever framing the head announces.
    #[must_use]
    pub fn framed(mut self) -> Self {
        self.framing = Framing::Pieces;
        self
    }

    /// Hangs up after the whole response, without having said so.
    #[must_use]
    pub fn then_hang_up(mut self) -> Self {
        self.close_after = true;
        self
    }

    /// The same bytes, each in a write of its own.
    #[must_use]
    pub fn byte_by_byte(mut self) -> Self {
        self.pieces = std::mem::take(&mut self.pieces)
            .into_iter()
            .flat_map(|piece| match piece {
                Piece::Bytes(bytes) => {
                    (0..bytes.len()).map(|at| Piece::Bytes(bytes.slice(at..=at))).collect()
                }
                other => vec![other],
            })
            .collect();
        self
    }

    /// The same bytes in writes of about `size`.
    #[must_use]
    pub fn in_writes_of(mut self, size: usize) -> Self {
        let mut merged: Vec<Piece> = Vec::new();
        let mut whole = Vec::new();
        for piece in std::mem::take(&mut self.pieces) {
            if let Piece::Bytes(bytes) = &piece {
                whole.extend_from_slice(bytes);
            }
            if whole.len() >= size || !matches!(piece, Piece::Bytes(_)) {
                merged.push(Piece::Bytes(std::mem::take(&mut whole).into()));
            }
            if !matches!(piece, Piece::Bytes(_)) {
                merged.push(piece);
            }
        }
        merged.push(Piece::Bytes(whole.into()));
        self.pieces = merged;
        self
    }

    /// Then sends all that `next` would.
    #[must_use]
    pub fn followed_by(mut self, next: Self) -> Self {
        self.pieces.extend(next.pieces);
        self
    }

    fn then(mut self, piece: Piece) -> Self {
        self.pieces.push(piece);
        self
    }

    /// The whole head, with what the framing adds.
    pub(super) fn full_head(&self) -> Vec<u8> {
        let Some(mut head) = self.head.clone() else { return Vec::new() };
        match self.framing {
            Framing::Chunked => head.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            Framing::Close | Framing::Pieces => {}
            Framing::Length => {
                let bytes = |piece: &Piece| if let Piece::Bytes(bytes) = piece { bytes.len() } else { 0 };
                let length: usize = self.pieces.iter().map(bytes).sum();
                head.extend_from_slice(format!("content-length: {length}\r\n").as_bytes());
            }
        }
        head.extend_from_slice(b"\r\n");
        head
    }
}

//! Where a body ends.

use bytes::{Bytes, BytesMut};

use super::chunked::{BadChunk, Chunked};

/// How the end of a body is known, and what is still to come before it.
#[derive(Debug)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// By its chunks.
    Chunked(Chunked),
    /// By the end of the connection.
    UntilClose,
}

impl Framing {
    /// Takes what `buffer` holds of the body, which may be nothing.
    pub(super) fn take(&mut self, buffer: &mut BytesMut) -> Result<Bytes, BadChunk> {
        match self {
            Self::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                *left -= here as u64;
                Ok(buffer.split_to(here).freeze())
            }
            Self::Chunked(chunked) => chunked.take(buffer),
            Self::UntilClose => Ok(buffer.split().freeze()),
        }
    }

    /// Whether all of the body was taken.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.is_over(),
            Self::UntilClose => false,
        }
    }
}

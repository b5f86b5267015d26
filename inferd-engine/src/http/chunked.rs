//! A chunked body without its framing (RFC 9112, section 7.1).
//!
//! Invariants:
//! - The data do not depend on where the bytes were cut.
//! - Every line ends in CR LF. One that does not, or a size that is no number, is an error and never guessed at.
//! - What is neither size nor data is at most [`BESIDE_BYTES_MAX`] long.

use bytes::{Bytes, BytesMut};

/// The most bytes of all extensions and trailers of one body. They are passed over: no engine asks for any.
const BESIDE_BYTES_MAX: usize = 16 * 1024;

/// The decoder of one body.
#[derive(Debug)]
pub(super) struct Chunked {
    at: At,
    beside_bytes: usize,
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// The first digit of a size.
    Start,
    /// The rest of it.
    Size(u64),
    /// Blanks after it.
    Blank(u64),
    /// What may follow it.
    Extension(u64),
    /// The LF that ends its line.
    SizeLf(u64),
    /// So much data, at least one byte.
    Data(u64),
    /// The CR after the data.
    DataCr,
    /// The LF after the data.
    DataLf,
    /// The first byte of a line after the last chunk: an empty one ends the body.
    Trailer,
    /// The rest of it.
    TrailerRest,
    /// The LF that ends it.
    TrailerLf,
    /// The LF that ends the body.
    LastLf,
    End,
}

/// Bytes that are no chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadChunk {
    /// A byte where another was due.
    #[error("a chunk of the answer is malformed")]
    Malformed,
    /// More extensions and trailers than anyone wants to read.
    #[error("the chunks of the answer hold more than {BESIDE_BYTES_MAX} bytes beside its data")]
    Endless,
}

impl Chunked {
    pub(super) fn new() -> Self {
        Self { at: At::Start, beside_bytes: 0 }
    }

    /// Whether the body is complete. What follows is not of it.
    pub(super) fn is_over(&self) -> bool {
        self.at == At::End
    }

    /// Takes what `buffer` holds of the body: the data of all its chunks, moved together, which may be none.
    pub(super) fn take(&mut self, buffer: &mut BytesMut) -> Result<Bytes, BadChunk> {
        // The data are moved to where the first of them lie, so that those of a single chunk are not moved at all.
        let (mut read, mut start, mut end) = (0, 0, 0);
        while self.at != At::End && read < buffer.len() {
            let At::Data(left) = self.at else {
                match self.pass(buffer[read]) {
                    Ok(next) => self.at = next,
                    // What came before it counts; the byte stays, to be told of next.
                    Err(_) if start < end => break,
                    Err(error) => return Err(error),
                }
                read += 1;
                continue;
            };
            let here = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len() - read);
            if start == end {
                (start, end) = (read, read + here);
            } else {
                buffer.copy_within(read..read + here, end);
                end += here;
            }
            read += here;
            self.at = match left - here as u64 {
                0 => At::DataCr,
                left => At::Data(left),
            };
        }
        let mut data = buffer.split_to(read);
        data.truncate(end);
        Ok(data.split_off(start).freeze())
    }

    /// Passes over a byte of the framing.
    fn pass(&mut self, byte: u8) -> Result<At, BadChunk> {
        let next = match (self.at, byte) {
            (At::Start, _) => At::Size(digit(byte)?),
            (At::Size(size) | At::Blank(size) | At::Extension(size), b'\r') => At::SizeLf(size),
            (At::Size(size) | At::Blank(size), b' ' | b'\t') => At::Blank(size),
            (At::Size(size) | At::Blank(size), b';') | (At::Extension(size), 0x20.. | b'\t') => {
                At::Extension(size)
            }
            (At::Size(size), _) if size >> 60 == 0 => At::Size(size << 4 | digit(byte)?),
            (At::SizeLf(0) | At::TrailerLf, b'\n') => At::Trailer,
            (At::SizeLf(size), b'\n') => At::Data(size),
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Start,
            (At::Trailer, b'\r') => At::LastLf,
            (At::TrailerRest, b'\r') => At::TrailerLf,
            (At::Trailer | At::TrailerRest, 0x20.. | b'\t') => At::TrailerRest,
            (At::LastLf, b'\n') => At::End,
            _ => return Err(BadChunk::Malformed),
        };
        if matches!(next, At::Blank(_) | At::Extension(_) | At::TrailerRest) {
            self.beside_bytes += 1;
            if self.beside_bytes > BESIDE_BYTES_MAX {
                return Err(BadChunk::Endless);
            }
        }
        Ok(next)
    }
}

fn digit(byte: u8) -> Result<u64, BadChunk> {
    match byte {
        b'0'..=b'9' => Ok(u64::from(byte - b'0')),
        b'a'..=b'f' => Ok(u64::from(byte - b'a' + 10)),
        b'A'..=b'F' => Ok(u64::from(byte - b'A' + 10)),
        _ => Err(BadChunk::Malformed),
    }
}

#[cfg(test)]
mod tests;

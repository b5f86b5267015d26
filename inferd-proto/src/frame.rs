//! Blocking framing over `std::io`: one JSON value a line.

use std::io::{BufRead, Write};

use serde::{Serialize, de::DeserializeOwned};

use crate::ProtoError;
use crate::lines::{absorb, trim};

/// The largest frame, in bytes without its newline: 64 MiB.
pub const MAX_FRAME_BYTES: usize = 64 << 20;

/// Reads the next frame. `Ok(None)` is a clean end of stream; empty lines are skipped; the last line may lack its
/// newline.
///
/// # Errors
/// [`ProtoError::FrameTooLarge`] past [`MAX_FRAME_BYTES`] (the stream is then out of step: close it),
/// [`ProtoError::Decode`] for a line that is not a `T`, [`ProtoError::Io`] from the reader.
pub fn read_frame<R: BufRead, T: DeserializeOwned>(reader: &mut R) -> Result<Option<T>, ProtoError> {
    let mut line = Vec::new();
    loop {
        let chunk = reader.fill_buf()?;
        let ended = chunk.is_empty();
        let taken = absorb(&mut line, chunk, MAX_FRAME_BYTES).map_err(|_| ProtoError::FrameTooLarge)?;
        reader.consume(taken.consumed);
        if !taken.complete && !ended {
            continue;
        }
        let text = trim(&line);
        if !text.is_empty() {
            return Ok(Some(serde_json::from_slice(text)?));
        }
        if ended {
            return Ok(None);
        }
        line.clear();
    }
}

/// Writes `frame` and its newline in one call. Flush a buffered writer afterwards: readers act on whole lines.
///
/// # Errors
/// [`ProtoError::FrameTooLarge`] past [`MAX_FRAME_BYTES`] (nothing is written), [`ProtoError::Decode`] for a value
/// that JSON cannot hold, [`ProtoError::Io`] from the writer.
pub fn write_frame<W: Write, T: Serialize>(writer: &mut W, frame: &T) -> Result<(), ProtoError> {
    let mut line = serde_json::to_vec(frame)?;
    if line.len() > MAX_FRAME_BYTES {
        return Err(ProtoError::FrameTooLarge);
    }
    line.push(b'\n');
    writer.write_all(&line)?;
    Ok(())
}

//! Bytes of a stream, read as lines: the same ones at every split, through [`Lines`] and through [`read_frame`].

use std::io::{self, BufRead, Read};

use serde_json::Value;

use super::chunked;
use crate::{FrameTooLarge, Lines, MAX_FRAME_BYTES, ProtoError, read_frame};

/// A limit that short inputs pass.
const SMALL_FRAME_BYTES_MAX: usize = 16;

/// Reads the stream of a [`chunked`] input.
pub fn frame(input: &[u8]) {
    let (stream, chunks) = chunked(input);
    for frame_bytes_max in [SMALL_FRAME_BYTES_MAX, MAX_FRAME_BYTES] {
        let expected = plainly(stream, frame_bytes_max);
        assert_eq!(decode([stream], frame_bytes_max), expected, "whole, at most {frame_bytes_max} bytes");
        let split = decode(chunks.iter().copied(), frame_bytes_max);
        assert_eq!(split, expected, "split, at most {frame_bytes_max} bytes");
    }
    let (lines, refused) = plainly(stream, MAX_FRAME_BYTES);
    assert_eq!(refused, None, "no input is as long as a frame may be");
    let values: Vec<_> = lines.iter().map(|line| serde_json::from_slice(line).ok()).collect();
    assert_eq!(read_all(&mut Chunks { chunk: &[], after: chunks.into_iter() }), values);
}

/// Lines, and why there are no more of them.
type Decoded = (Vec<Vec<u8>>, Option<FrameTooLarge>);

fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, frame_bytes_max: usize) -> Decoded {
    let mut lines = Lines::new(frame_bytes_max);
    let mut decoded = Vec::new();
    for mut chunk in chunks {
        loop {
            match lines.next(&mut chunk) {
                Ok(Some(line)) => decoded.push(line.to_vec()),
                Ok(None) => break,
                Err(refused) => return (decoded, Some(refused)),
            }
        }
    }
    decoded.extend(lines.finish().map(<[u8]>::to_vec));
    (decoded, None)
}

/// What [`Lines`] promises, written for clearness alone.
fn plainly(stream: &[u8], frame_bytes_max: usize) -> Decoded {
    let mut decoded = Vec::new();
    for line in stream.split(|&byte| byte == b'\n') {
        if line.len() > frame_bytes_max {
            return (decoded, Some(FrameTooLarge { frame_bytes_max }));
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            decoded.push(line.to_vec());
        }
    }
    (decoded, None)
}

/// Every frame to the end of the stream; `None` for a line that is no JSON.
fn read_all(reader: &mut impl BufRead) -> Vec<Option<Value>> {
    let mut values = Vec::new();
    loop {
        match read_frame(reader) {
            Ok(Some(value)) => values.push(Some(value)),
            Ok(None) => return values,
            Err(ProtoError::Decode(_)) => values.push(None),
            Err(error) => panic!("{error}"),
        }
    }
}

/// A reader whose buffer holds one chunk at a time; none of them is empty.
struct Chunks<'a> {
    chunk: &'a [u8],
    after: std::vec::IntoIter<&'a [u8]>,
}

impl BufRead for Chunks<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.chunk.is_empty() {
            self.chunk = self.after.next().unwrap_or_default();
        }
        Ok(self.chunk)
    }

    fn consume(&mut self, bytes: usize) {
        self.chunk = &self.chunk[bytes..];
    }
}

impl Read for Chunks<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?.read(into)?;
        self.consume(bytes);
        Ok(bytes)
    }
}

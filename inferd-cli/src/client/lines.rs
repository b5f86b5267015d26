//! Bytes of a transport in, one value a line out.

use std::io;

use inferd_proto::{Lines, MAX_FRAME_BYTES};
use tokio::io::{AsyncRead, AsyncReadExt};

const CHUNK_BYTES: usize = 16 << 10;

/// Reads lines; holds at most one frame and one chunk.
pub(crate) struct LineReader<R> {
    io: R,
    lines: Lines,
    chunk: Box<[u8]>,
    /// What of `chunk` was read but not yet taken.
    rest: std::ops::Range<usize>,
    ended: bool,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    pub(crate) fn new(io: R) -> Self {
        let chunk = vec![0; CHUNK_BYTES].into_boxed_slice();
        Self { io, lines: Lines::new(MAX_FRAME_BYTES), chunk, rest: 0..0, ended: false }
    }

    /// The next line, as `parse` reads it. `None` is the end; the last line may lack its newline. Cancel safe.
    pub(crate) async fn next<T>(&mut self, parse: impl Fn(&[u8]) -> T) -> io::Result<Option<T>> {
        loop {
            let mut input = &self.chunk[self.rest.clone()];
            let line = self.lines.next(&mut input).map_err(io::Error::other)?.map(&parse);
            self.rest.start = self.rest.end - input.len();
            if line.is_some() {
                return Ok(line);
            }
            if self.ended {
                return Ok(None);
            }
            let read = self.io.read(&mut self.chunk).await?;
            self.rest = 0..read;
            if read == 0 {
                self.ended = true;
                return Ok(self.lines.finish().map(&parse));
            }
        }
    }
}

//! Messages as lines of a pair of pipes.
//!
//! Invariants:
//! - Of a line beyond the limit only its two ends are held.

use std::io;
use std::sync::Arc;

use rmcp::RoleClient;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::Mutex;

use super::MESSAGE_BYTES_MAX;
use super::ear::Ear;

/// How much is kept of each end of a line that is too long.
const END_BYTES: usize = 256;
/// A buffer that has grown beyond this is let go after its line.
const KEPT_BYTES_MAX: usize = 64 * 1024;
const READ_BYTES: usize = 64 * 1024;

/// A pair of pipes that messages go through.
pub(super) struct Lines<R, W> {
    read: BufReader<R>,
    line: Line,
    /// `None` once closed.
    write: Arc<Mutex<Option<W>>>,
    ear: Arc<Ear>,
}

/// The line being read.
#[derive(Default)]
struct Line {
    bytes: Vec<u8>,
    /// Once the line is too long: the last of it; `bytes` is then its beginning.
    end: Option<Vec<u8>>,
}

impl<R: AsyncRead, W> Lines<R, W> {
    pub(super) fn new(read: R, write: W, ear: Arc<Ear>) -> Self {
        let read = BufReader::with_capacity(READ_BYTES, read);
        Self { read, line: Line::default(), write: Arc::new(Mutex::new(Some(write))), ear }
    }
}

impl<R, W> Transport<RoleClient> for Lines<R, W>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        message: ClientJsonRpcMessage,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        self.ear.note(&message);
        let write = Arc::clone(&self.write);
        async move {
            let mut line = serde_json::to_vec(&message)?;
            line.push(b'\n');
            let mut write = write.lock().await;
            let write = write.as_mut().ok_or(io::ErrorKind::NotConnected)?;
            write.write_all(&line).await?;
            write.flush().await
        }
    }

    /// May be dropped at any time: what was read of a line stays.
    async fn receive(&mut self) -> Option<ServerJsonRpcMessage> {
        loop {
            let read = match self.read.fill_buf().await {
                Ok([]) => {
                    self.ear.end("it closed its output");
                    return None;
                }
                Ok(read) => read,
                Err(error) => {
                    self.ear.end(format!("its output cannot be read: {error}"));
                    return None;
                }
            };
            let newline = memchr::memchr(b'\n', read);
            self.line.push(&read[..newline.unwrap_or(read.len())]);
            let consumed = newline.map_or(read.len(), |at| at + 1);
            self.read.consume(consumed);
            if newline.is_some()
                && let Some(message) = self.line.take(&self.ear)
            {
                return Some(message);
            }
        }
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        // Whoever writes holds the lock, to a pipe that may be full: it is left to that task, which ends with this one.
        if let Ok(mut write) = self.write.try_lock() {
            write.take();
        }
        Ok(())
    }
}

impl Line {
    fn push(&mut self, bytes: &[u8]) {
        if let Some(end) = &mut self.end {
            end.extend_from_slice(&bytes[bytes.len().saturating_sub(END_BYTES)..]);
            let surplus = end.len().saturating_sub(END_BYTES);
            end.drain(..surplus);
        } else if self.bytes.len() + bytes.len() <= MESSAGE_BYTES_MAX {
            self.bytes.extend_from_slice(bytes);
        } else {
            let kept = self.bytes.len().saturating_sub(END_BYTES);
            self.end = Some(self.bytes[kept..].to_vec());
            self.bytes.truncate(END_BYTES);
            self.bytes.shrink_to_fit();
            self.push(bytes);
        }
    }

    /// The message on the line, which is over.
    fn take(&mut self, ear: &Ear) -> Option<ServerJsonRpcMessage> {
        let message = match self.end.take() {
            Some(end) => ear.too_long(&self.bytes, &end),
            None if self.bytes.trim_ascii().is_empty() => None,
            None => ear.hear(&self.bytes),
        };
        if self.bytes.capacity() > KEPT_BYTES_MAX {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
        message
    }
}

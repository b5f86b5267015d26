//! The wire by hand: lines out, frames in.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::PATIENCE;

/// The least that can be asked.
#[must_use]
pub fn request(id: &str) -> Value {
    json!({"id": id, "messages": [{"role": "user", "content": id}]})
}

/// One connection to the daemon. Dropping it closes the connection.
pub struct LineClient {
    frames: Box<dyn AsyncBufRead + Send + Unpin>,
    lines: Box<dyn AsyncWrite + Send + Unpin>,
}

impl LineClient {
    /// Connects to a local socket.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn local(path: &Path) -> Result<Self> {
        let (frames, lines) = UnixStream::connect(path).await?.into_split();
        Ok(Self { frames: Box::new(BufReader::new(frames)), lines: Box::new(lines) })
    }

    /// Connects over TCP.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn tcp(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (frames, lines) = stream.into_split();
        Ok(Self { frames: Box::new(BufReader::new(frames)), lines: Box::new(lines) })
    }

    /// Sends bytes as they are; the caller ends its lines.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.lines.write_all(bytes).await?)
    }

    /// Sends one value as one line.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn send(&mut self, value: &Value) -> Result<()> {
        self.send_bytes(format!("{value}\n").as_bytes()).await
    }

    /// Says that no more lines will come and goes on reading, as `nc -N` does.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn finish_sending(&mut self) -> Result<()> {
        Ok(self.lines.shutdown().await?)
    }

    /// The next frame.
    ///
    /// # Errors
    /// When none comes in time, the connection is closed, or the line is not JSON.
    pub async fn frame(&mut self) -> Result<Value> {
        let line = self.line().await?;
        ensure!(!line.is_empty(), "the daemon closed the connection where a frame was due");
        serde_json::from_str(&line).with_context(|| format!("not a frame: {line:?}"))
    }

    /// Sends one value as one line and reads its answer.
    ///
    /// # Errors
    /// As [`LineClient::answer`].
    pub async fn ask(&mut self, value: &Value) -> Result<Vec<Value>> {
        self.send(value).await?;
        self.answer().await
    }

    /// Sends one value as one line and reads on to its terminal frame.
    ///
    /// # Errors
    /// As [`LineClient::answer`].
    pub async fn terminal(&mut self, value: &Value) -> Result<Value> {
        self.ask(value).await?.pop().context("an answer has a last frame")
    }

    /// The next frame of this type; those before it are passed over.
    ///
    /// # Errors
    /// As [`LineClient::frame`].
    pub async fn frame_of(&mut self, kind: &str) -> Result<Value> {
        loop {
            let frame = self.frame().await?;
            if frame["type"] == kind {
                return Ok(frame);
            }
        }
    }

    /// Sends bytes, says that no more will come, and reads all frames up to the end of the connection meanwhile. Gives how
    /// many bytes were taken, and the frames.
    ///
    /// # Errors
    /// As [`LineClient::rest`].
    pub async fn send_while_reading(self, bytes: &[u8]) -> Result<(usize, Vec<Value>)> {
        let Self { frames, mut lines } = self;
        let mut reader = Self { frames, lines: Box::new(tokio::io::sink()) };
        let send = async {
            let mut sent = 0;
            while let Ok(taken @ 1..) = lines.write(&bytes[sent..]).await {
                sent += taken;
            }
            lines.shutdown().await.map(|()| sent)
        };
        let (sent, frames) = tokio::join!(send, reader.rest());
        Ok((sent?, frames?))
    }

    /// All frames up to the end of the connection.
    ///
    /// # Errors
    /// When the connection stays open or a line is not JSON.
    pub async fn rest(&mut self) -> Result<Vec<Value>> {
        let mut frames = Vec::new();
        loop {
            match self.line().await? {
                line if line.is_empty() => return Ok(frames),
                line => frames
                    .push(serde_json::from_str(&line).with_context(|| format!("not a frame: {line:?}"))?),
            }
        }
    }

    /// All frames up to and with the next terminal one.
    ///
    /// # Errors
    /// As [`LineClient::frame`].
    pub async fn answer(&mut self) -> Result<Vec<Value>> {
        let mut frames = Vec::new();
        loop {
            let frame = self.frame().await?;
            let terminal = matches!(frame["type"].as_str(), Some("done" | "error"));
            frames.push(frame);
            if terminal {
                return Ok(frames);
            }
        }
    }

    /// Waits until the daemon has closed the connection, having sent nothing more.
    ///
    /// # Errors
    /// When it stays open or a frame comes.
    pub async fn closed(&mut self) -> Result<()> {
        match self.line().await {
            Ok(line) => ensure!(line.is_empty(), "the connection was to be closed, but there came {line:?}"),
            Err(error) => ensure!(is_reset(&error), error),
        }
        Ok(())
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let read = self.frames.read_line(&mut line);
        timeout(PATIENCE, read).await.with_context(|| format!("no frame within {PATIENCE:?}"))??;
        Ok(line)
    }
}

impl std::fmt::Debug for LineClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineClient").finish_non_exhaustive()
    }
}

/// A peer that closes with bytes of ours unread resets the connection.
fn is_reset(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(|error: &io::Error| error.kind() == io::ErrorKind::ConnectionReset)
}

//! One connection: what is open on it, and the task that carries its bytes.
//!
//! Invariant: the task ends with the connection; when it ends first, everything open is told why.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use inferd_proto::DaemonFrame;
use serde_json::error::Category;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Broken;
use super::dial::Transport;
use super::lines::LineReader;
use super::open::Open;

/// How long what the daemon said before it closed is read on after a write failed.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A connection. Dropping it closes it.
pub(super) struct Connection {
    pub(super) open: Arc<Open>,
    /// Aborts the task on drop.
    _task: JoinSet<()>,
}

impl Connection {
    pub(super) fn over(transport: Box<dyn Transport>) -> Self {
        let open = Arc::new(Open::default());
        let mut task = JoinSet::new();
        let carried = Arc::clone(&open);
        task.spawn(async move {
            let broken = carry(transport, &carried).await;
            carried.close(broken);
        });
        Self { open, _task: task }
    }
}

/// Reads and writes at once, until one of them ends.
async fn carry(transport: Box<dyn Transport>, open: &Open) -> Broken {
    let (reader, writer) = tokio::io::split(transport);
    let mut reading = std::pin::pin!(read(reader, open));
    tokio::select! {
        broken = &mut reading => broken,
        broken = write(writer, open) => timeout(LAST_WORDS, reading).await.unwrap_or(broken),
    }
}

async fn read(io: impl AsyncRead + Unpin, open: &Open) -> Broken {
    let mut lines = LineReader::new(io);
    let mut heard = false;
    loop {
        match lines.next(|line| (DaemonFrame::parse(line), line.len())).await {
            Ok(Some((Ok(frame), bytes))) => open.deliver(frame, bytes).await,
            // JSON of another shape: a frame of a later protocol, which nobody here asked for.
            Ok(Some((Err(error), _))) if error.classify() == Category::Data => {}
            Ok(Some((Err(error), _))) => return Broken::NotProtocol(error.to_string()),
            Ok(None) if heard => return Broken::Closed,
            Ok(None) => return Broken::Unheard,
            // The same, where our first request was still on its way.
            Err(error) if !heard && error.kind() == io::ErrorKind::ConnectionReset => return Broken::Unheard,
            Err(error) => return Broken::Io(Arc::new(error)),
        }
        heard = true;
    }
}

async fn write(mut io: impl AsyncWrite + Unpin, open: &Open) -> Broken {
    loop {
        let unsent = open.unsent().await;
        if let Err(error) = io.write_all(&unsent.bytes).await {
            return Broken::Io(Arc::new(error));
        }
        open.sent(&unsent);
    }
}

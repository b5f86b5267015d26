//! The admin socket: says where the daemon stands to whoever connects, and takes a few commands.
//!
//! Changes of state enter through [`Hub::publish`]; status frames, snapshots, and the wishes to reload and to stop
//! leave. No request is answered here.

mod command;
mod hub;

use std::io;
use std::sync::{Arc, OnceLock};

use inferd_proto::Lines;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use command::Serving;
pub use command::Sockets;
pub(crate) use hub::Hub;

use crate::endpoint::{Listener, LocalListener};
use crate::process::Reloader;
use command::obey;

/// The longest command, in bytes.
const COMMAND_BYTES_MAX: usize = 4 * 1024;

/// What the admin socket shows and does.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    pub(crate) hub: Hub,
    /// Asks the daemon to finish and stop.
    pub(crate) drain: CancellationToken,
    /// Makes the daemon read its configuration again.
    pub(crate) reloader: Reloader,
    /// What is served; empty until it is.
    pub(crate) serving: Arc<OnceLock<Serving>>,
    pub(crate) started: Instant,
}

impl Admin {
    /// That of a daemon that is just starting.
    pub(crate) fn new(reloader: Reloader) -> Self {
        Self {
            hub: Hub::new(),
            drain: CancellationToken::new(),
            reloader,
            serving: Arc::new(OnceLock::new()),
            started: Instant::now(),
        }
    }
}

/// Serves `listener` until `stopped`.
pub(crate) async fn serve(listener: LocalListener, admin: Admin, stopped: CancellationToken) {
    let tasks = TaskTracker::new();
    let accept = async {
        loop {
            match listener.accept().await {
                Ok((socket, _)) => {
                    let (admin, stopped) = (admin.clone(), stopped.clone());
                    tasks.spawn(async move { attend(socket, &admin, &stopped).await });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an admin connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accept => {}
        () = stopped.cancelled() => {}
    }
    tasks.close();
    tasks.wait().await;
}

/// How long the last words may take to whoever does not read them.
const LINGER: std::time::Duration = std::time::Duration::from_secs(1);

/// Pause after a failed accept.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// Converses until either side leaves.
async fn attend<S: AsyncRead + AsyncWrite + Unpin>(socket: S, admin: &Admin, stopped: &CancellationToken) {
    let overdue = async {
        stopped.cancelled().await;
        tokio::time::sleep(LINGER).await;
    };
    tokio::select! {
        ended = converse(socket, admin, stopped) => if let Err(error) = ended {
            tracing::debug!(%error, "admin connection closed");
        },
        () = overdue => tracing::debug!("admin connection closed: it does not read"),
    }
}

/// Pushes every change, and answers commands, until the other side leaves.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: S,
    admin: &Admin,
    stopped: &CancellationToken,
) -> io::Result<()> {
    let (now, mut changes) = admin.hub.subscribe();
    push(&mut socket, &now.frame()).await?;
    let mut lines = Lines::new(COMMAND_BYTES_MAX);
    let mut buffer = [0; 512];
    let mut listens = true;
    loop {
        tokio::select! {
            // In this order, so that the last change is told before the end.
            biased;
            change = changes.recv() => match change {
                Ok(status) => push(&mut socket, &status.frame()).await?,
                Err(RecvError::Lagged(_)) => {
                    let (now, fresh) = admin.hub.subscribe();
                    changes = fresh;
                    push(&mut socket, &now.frame()).await?;
                }
                Err(RecvError::Closed) => return Ok(()),
            },
            () = stopped.cancelled() => return Ok(()),
            read = socket.read(&mut buffer), if listens => {
                let mut bytes = &buffer[..read?];
                // A reader that says nothing more, as `nc -N` does, still wants to be told.
                listens = !bytes.is_empty();
                while let Some(line) = lines.next(&mut bytes).map_err(io::Error::other)? {
                    let reply = obey(line, admin).await;
                    socket.write_all(&reply).await?;
                }
            }
        }
    }
}

async fn push<S: AsyncWrite + Unpin>(socket: &mut S, value: &impl Serialize) -> io::Result<()> {
    socket.write_all(&frame(value)).await
}

fn frame(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).expect("plain data is JSON");
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests;

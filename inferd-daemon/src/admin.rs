//! The admin socket: says where the daemon stands to whoever connects, and takes a few commands.
//!
//! Changes of state enter through [`Hub::publish`]; status frames, snapshots and the wish to stop leave. No request is
//! answered here.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use inferd_proto::{AdminCommand, AdminStatus, ErrorCode, Lines, Response};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::endpoint::{Listener, LocalListener};
use crate::router::LaneState;
use crate::service::Service;

/// Changes of state that a reader may be behind; one further behind is told the current state.
const CHANGES_KEPT: usize = 64;

/// The longest command, in bytes.
const COMMAND_BYTES_MAX: usize = 4 * 1024;

/// Where the daemon stands, and who wants to know.
#[derive(Debug, Clone)]
pub(crate) struct Hub(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    now: AdminStatus,
    changes: broadcast::Sender<AdminStatus>,
}

impl Hub {
    pub(crate) fn new() -> Self {
        let changes = broadcast::Sender::new(CHANGES_KEPT);
        Self(Arc::new(Mutex::new(State { now: AdminStatus::Starting, changes })))
    }

    /// Tells everybody, and whoever comes later.
    pub(crate) fn publish(&self, status: AdminStatus) {
        let mut state = self.lock();
        state.now = status.clone();
        // Nobody listening is no failure.
        state.changes.send(status).ok();
    }

    /// The current state and every change after it.
    fn subscribe(&self) -> (AdminStatus, broadcast::Receiver<AdminStatus>) {
        let state = self.lock();
        (state.now.clone(), state.changes.subscribe())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the admin socket shows and does.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    pub(crate) hub: Hub,
    /// Asks the daemon to finish and stop.
    pub(crate) drain: CancellationToken,
    /// What is served; empty until it is.
    pub(crate) serving: Arc<OnceLock<Serving>>,
    pub(crate) started: Instant,
}

/// What a snapshot is taken of.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) service: Arc<Service>,
    pub(crate) sockets: Sockets,
}

/// Where the daemon listens.
#[derive(Debug, Clone, Serialize)]
pub struct Sockets {
    /// The local socket or pipe.
    pub local: std::path::PathBuf,
    /// The TCP address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<std::net::SocketAddr>,
}

/// The state of lanes, queue and clients.
#[derive(Debug, Serialize)]
struct Snapshot<'a> {
    id: &'static str,
    r#type: &'static str,
    version: &'static str,
    pid: u32,
    uptime_s: u64,
    #[serde(flatten)]
    status: AdminStatus,
    sockets: &'a Sockets,
    running: usize,
    waiting: usize,
    active: usize,
    queue_depth: usize,
    clients: usize,
    lanes: Vec<LaneState>,
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
                    let reply = obey(line, admin);
                    socket.write_all(&reply).await?;
                }
            }
        }
    }
}

/// Carries out a command; what it is answered with.
fn obey(line: &[u8], admin: &Admin) -> Vec<u8> {
    let failed = |message: String| {
        frame(&Response::Error {
            id: "admin".to_owned(),
            code: ErrorCode::InvalidRequest,
            message,
            retry_after_ms: None,
            queue: None,
        })
    };
    match serde_json::from_slice(line) {
        Ok(AdminCommand::Snapshot) => match admin.serving.get() {
            Some(serving) => frame(&snapshot(admin, serving)),
            None => failed("snapshot: the daemon is still starting".to_owned()),
        },
        Ok(AdminCommand::Drain) => {
            admin.drain.cancel();
            Vec::new()
        }
        Ok(AdminCommand::Reload) => {
            failed("reload: this daemon reads its configuration at start only".to_owned())
        }
        Err(error) => failed(format!("expected a command such as {{\"type\":\"snapshot\"}}: {error}")),
    }
}

fn snapshot<'a>(admin: &Admin, Serving { service, sockets }: &'a Serving) -> Snapshot<'a> {
    let queue = service.gate.state();
    Snapshot {
        id: "admin",
        r#type: "snapshot",
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        uptime_s: admin.started.elapsed().as_secs(),
        status: admin.hub.subscribe().0,
        sockets,
        running: queue.running,
        waiting: queue.waiting,
        active: service.gate.limits().active,
        queue_depth: queue.capacity,
        clients: service.gate.clients(),
        lanes: service.router.state(),
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

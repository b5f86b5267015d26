//! A listener enters, its connections are served until the daemon stops.
//!
//! Invariants:
//! - No failed accept ends the listener. Past the connections there may be none is accepted; then those that are idle
//!   are closed.
//! - When this returns every connection and every session's service has ended.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::http::{Door, McpConfig, Stall};
use super::manager::Manager;
use super::manager::restore::Recall;
use super::session::SessionStore;
use crate::lifecycle::{Room, accept_each};
use crate::service::Stop;

/// How long a client may take for a request's head, and a connection be idle.
const HEAD_PATIENCE: Duration = Duration::from_secs(60);

/// How long a connection may be kept open for a next request where others wait for its place.
const IDLE_WHERE_FULL: Duration = Duration::from_secs(1);

/// How long what is said of calls that were ended may take to whoever does not read it.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Serves MCP clients that come to `listener`, each session by a handler of its own, until `stop` is said: then calls
/// that are open are finished, or ended with `stop`'s last word. Each request goes by what `config` says then; its
/// limits are those of the start.
///
/// # Errors
/// None at present: what goes wrong goes wrong for one connection.
pub async fn serve<H: ServerHandler>(
    listener: TcpListener,
    config: watch::Receiver<McpConfig>,
    make_handler: impl Fn() -> H + Send + Sync + 'static,
    sessions: SessionStore,
    stop: Stop,
) -> io::Result<()> {
    let tasks = TaskTracker::new();
    let ending = CancellationToken::new();
    let draining = CancellationToken::new();
    let limits = config.borrow().limits;
    let door = door(config, make_handler, sessions.clone(), &tasks, draining.clone(), ending.clone());
    let door = Arc::new(door);
    let room = Room::new(limits.connections_max);
    let kept = CancellationToken::new();
    for task in [sessions.sweeper().boxed(), sessions.keeper().boxed()] {
        let kept = kept.clone();
        tasks.spawn(async move {
            kept.run_until_cancelled(task).await;
        });
    }
    let connections = TaskTracker::new();
    tokio::select! {
        () = stop.draining() => {}
        () = stop.ending() => {}
        () = accept_each(&listener, &room, &connections, |socket, _| {
            connection(socket, Arc::clone(&door), room.clone(), draining.clone(), ending.clone())
        }) => {}
    }
    drop(listener);
    draining.cancel();
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        () = async {
            stop.ending().await;
            sleep(LAST_WORDS).await;
        } => {}
    }
    // Before their services end, which would end them for good.
    sessions.close().await;
    ending.cancel();
    kept.cancel();
    connections.wait().await;
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// What stands between connections and handlers. Its streams end when `draining` and its sessions when `ending`.
pub(super) fn door<H: ServerHandler>(
    config: watch::Receiver<McpConfig>,
    make_handler: impl Fn() -> H + Send + Sync + 'static,
    sessions: SessionStore,
    tasks: &TaskTracker,
    draining: CancellationToken,
    ending: CancellationToken,
) -> Door<H> {
    let limits = config.borrow().limits;
    let mut protocol = StreamableHttpServerConfig::default()
        // Host and Origin are looked at before, and streams are written elsewhere.
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_sse_retry(None)
        .with_sse_keep_alive(Some(limits.heartbeat))
        .with_max_request_body_bytes(limits.body_bytes_max)
        .with_cancellation_token(ending.clone());
    protocol.session_store = Some(Arc::new(Recall(sessions.clone())));
    let manager = Arc::new(Manager::new(sessions, tasks.clone()));
    let unread = Arc::clone(&manager).end_unread();
    tasks.spawn(async move { ending.run_until_cancelled(unread).await });
    let service = StreamableHttpService::new(move || Ok(make_handler()), manager, protocol);
    Door::new(config, service, draining)
}

/// Serves one connection until it ends. Once `draining`, after the request that it is about.
pub(super) async fn connection<H: ServerHandler, S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    socket: S,
    door: Arc<Door<H>>,
    room: Room,
    draining: CancellationToken,
    ending: CancellationToken,
) {
    let answer = service_fn(move |request| {
        let door = Arc::clone(&door);
        async move { Ok::<_, std::convert::Infallible>(door.answer(request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .serve_connection(TokioIo::new(Stall::new(socket)), answer);
    let wanted = wanted_elsewhere(&room);
    tokio::pin!(served, wanted);
    let mut is_kept = true;
    let outcome = loop {
        tokio::select! {
            outcome = served.as_mut() => break outcome,
            () = wanted.as_mut(), if is_kept => {
                // At once where it is idle, else after the request that it is about.
                served.as_mut().graceful_shutdown();
                is_kept = false;
            }
            () = draining.cancelled() => {
                served.as_mut().graceful_shutdown();
                match ending.run_until_cancelled(served).await {
                    Some(outcome) => break outcome,
                    None => return,
                }
            }
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "an MCP connection ended");
    }
}

/// Waits until others have waited for a place in `room` for a while.
async fn wanted_elsewhere(room: &Room) {
    loop {
        room.full().await;
        sleep(IDLE_WHERE_FULL).await;
        if room.is_full() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;

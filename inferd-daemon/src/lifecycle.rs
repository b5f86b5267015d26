//! Listening: connections are accepted, told who they are, and served until the daemon stops.
//!
//! A bound listener enters; it is served until `draining` is said and its last connection has ended. The entries that
//! embedders use ([`serve_tcp`], [`wait_for_ready`]) are this same code.
//!
//! Invariants:
//! - No failed accept ends a listener.
//! - Every connection is a task of one tracker, and is waited for.

mod room;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::agent::Agents;
use crate::audit::{self, Audit, Caller};
use crate::connection::{self, Visitor};
use crate::endpoint::{Listener, Peer, Socket};
use crate::platform::directory;
use crate::queue::{Admission, ClientKey};
use crate::router::Router;
use crate::secrets::Keys;
use crate::service::{ConnectionLimits, Service, Stop};
pub(crate) use room::Room;

/// What embedders may set on a listener.
#[derive(Clone, Default)]
pub struct AcceptContext {
    /// The key that a client must give in its first line; `None`: none is needed.
    pub expected_api_key: Option<String>,
    /// The gate in front of the engines; `None`: everybody runs.
    pub admission: Option<Admission>,
}

impl std::fmt::Debug for AcceptContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AcceptContext")
            .field("expected_api_key", &self.expected_api_key.as_ref().map(|_| ".."))
            .field("admission", &self.admission)
            .finish()
    }
}

/// The backends were not ready in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("backends are not ready after {} ms", .0.as_millis())]
pub struct ReadyTimeout(pub Duration);

/// How often readiness is looked at: backends have no way to announce it.
const READY_POLL: Duration = Duration::from_millis(10);

/// Waits until every backend of `router` is ready, and says how long that took.
///
/// # Errors
/// [`ReadyTimeout`] after `timeout`.
pub async fn wait_for_ready(router: &Router, timeout: Duration) -> Result<Duration, ReadyTimeout> {
    let began = Instant::now();
    let ready = async {
        while !router.all_ready() {
            tokio::time::sleep(READY_POLL).await;
        }
    };
    tokio::time::timeout(timeout, ready).await.map_err(|_| ReadyTimeout(timeout))?;
    Ok(began.elapsed())
}

/// How long [`serve_tcp`] lets open requests finish once it is told to stop.
const EMBEDDED_DRAIN: Duration = Duration::from_secs(30);

/// Serves `listener` until `shutdown` is sent or dropped, then lets open requests finish.
///
/// # Errors
/// None at present: what goes wrong goes wrong for one connection.
pub async fn serve_tcp(
    listener: TcpListener,
    router: Arc<Router>,
    context: AcceptContext,
    shutdown: oneshot::Receiver<()>,
) -> io::Result<()> {
    let gate = context.admission.unwrap_or_else(Admission::unlimited);
    let stop = Stop::default();
    let agents = Agents::alone();
    let service = Arc::new(Service {
        gate,
        router,
        limits: ConnectionLimits::default(),
        stop: stop.clone(),
        audit: Audit::off(),
        agents: agents.clone(),
    });
    let keys = context.expected_api_key.map(|key| Arc::new(Keys::from_plain("default", &key)));
    let terms = Terms { service, keys, identity: Identity::default() };
    let door = Door::new(watch::Sender::new(terms).subscribe(), Room::new(DEFAULT_CONNECTIONS_MAX));
    let serve = listen(listener, door);
    tokio::pin!(serve);
    tokio::select! {
        () = &mut serve => {}
        // A dropped sender is a stop too.
        _ = shutdown => {
            stop.drain();
            if tokio::time::timeout(EMBEDDED_DRAIN, &mut serve).await.is_err() {
                stop.end();
                serve.await;
            }
        }
    }
    agents.dispose().await;
    Ok(())
}

/// Connections at once, where nothing else is configured.
pub(crate) const DEFAULT_CONNECTIONS_MAX: usize = 1024;

/// What counts as one client on a local socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Identity {
    /// A process.
    #[default]
    Process,
    /// A user.
    User,
    /// A connection.
    Connection,
}

/// On what terms somebody is let in. Who is in stays on the terms it came on.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) service: Arc<Service>,
    /// Keys of which a TCP client must hold one.
    pub(crate) keys: Option<Arc<Keys>>,
    pub(crate) identity: Identity,
}

/// What a listener needs to let somebody in. Clones are the same door.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    /// Those of the next connection.
    terms: watch::Receiver<Terms>,
    room: Room,
    stop: Stop,
    pub(crate) tasks: TaskTracker,
}

impl Door {
    /// A door into `room`; it is shut by the stop of the service that `terms` begin with.
    pub(crate) fn new(terms: watch::Receiver<Terms>, room: Room) -> Self {
        let stop = terms.borrow().service.stop.clone();
        Self { terms, room, stop, tasks: TaskTracker::new() }
    }
}

/// Pause after a failed accept: doubled by each further one.
const BACKOFF_MIN: Duration = Duration::from_millis(5);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Accepts until the daemon drains, then waits for every connection of this door.
pub(crate) async fn listen<L: Listener>(listener: L, door: Door) {
    let connections = door.tasks.clone();
    take_in(listener, door).await;
    connections.close();
    connections.wait().await;
}

/// Accepts until the daemon drains. When this returns nobody can connect any more.
pub(crate) async fn take_in<L: Listener>(listener: L, door: Door) {
    tokio::select! {
        () = accept(&listener, &door) => {}
        () = door.stop.draining() => {}
    }
}

/// Accepts for ever.
async fn accept<L: Listener>(listener: &L, door: &Door) {
    accept_each(listener, &door.room, &door.tasks, |socket, peer| {
        let terms = door.terms.borrow().clone();
        enter(socket, peer, terms)
    })
    .await;
}

/// Accepts for ever, and has `tasks` serve who came, each with a spot of `room`.
pub(crate) async fn accept_each<L: Listener, F: Future<Output = ()> + Send + 'static>(
    listener: &L,
    room: &Room,
    tasks: &TaskTracker,
    serve: impl Fn(L::Socket, Peer) -> F,
) {
    let mut backoff = BACKOFF_MIN;
    loop {
        // Past the limit nothing is accepted until somebody leaves; the system's backlog holds the rest.
        room.free().await;
        match listener.accept().await {
            Ok((socket, peer)) => {
                backoff = BACKOFF_MIN;
                // Another listener may have let somebody in meanwhile.
                let spot = room.take().await;
                let served = serve(socket, peer);
                tasks.spawn(async move {
                    served.await;
                    drop(spot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, backoff_ms = backoff.as_millis(), "cannot accept a connection");
                tokio::time::sleep(backoff).await;
                backoff = (backoff * 2).min(BACKOFF_MAX);
            }
        }
    }
}

/// Finds out who came, and serves them.
async fn enter<S: Socket>(mut socket: S, peer: Peer, terms: Terms) {
    let Terms { service, keys, identity } = terms;
    let (key, early) = match (peer, keys) {
        (Peer::Tcp(addr), Some(keys)) => {
            let admitted = tokio::select! {
                admitted = connection::authenticate(&mut socket, &keys) => admitted,
                () = service.stop.draining() => return,
            };
            match admitted {
                Some(admitted) => (ClientKey::Key(admitted.name), admitted.early),
                None => return refuse(addr),
            }
        }
        (peer, _) => (client_key(peer, identity), Vec::new()),
    };
    tracing::debug!(?peer, ?key, "connection opened");
    let caller = Caller::new(&key, audit_door(peer));
    let asker = asker(peer, &key, &caller);
    let visitor = Visitor { client: service.gate.client(key), caller, asker };
    connection::serve(socket, visitor, early, service).await;
}

/// Who engines are told it is. Whoever came without a key and as the daemon's own user is who the daemon belongs to;
/// without a key, programs on TCP cannot be told apart.
fn asker(peer: Peer, key: &ClientKey, caller: &Caller) -> inferd_proto::Caller {
    let stranger = |uid: &u32| *uid != directory::user();
    let (principal, program) = match (peer, key) {
        (_, ClientKey::Key(name)) => (Some(format!("key {name}")), None),
        (Peer::Local { uid, .. }, _) => {
            (uid.filter(stranger).map(|uid| format!("uid {uid}")), Some(Arc::clone(&caller.client)))
        }
        (Peer::Tcp(_), _) => (None, None),
    };
    inferd_proto::Caller { principal: principal.map(Into::into), program, session: None }
}

fn audit_door(peer: Peer) -> audit::Door {
    match peer {
        Peer::Local { .. } => audit::Door::Ndjson,
        Peer::Tcp(_) => audit::Door::Tcp,
    }
}

fn refuse(addr: SocketAddr) {
    tracing::warn!(%addr, "a connection gave no valid key");
}

/// Connections that have no better name.
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

fn client_key(peer: Peer, identity: Identity) -> ClientKey {
    match (identity, peer) {
        (Identity::Process, Peer::Local { uid: Some(uid), pid: Some(pid) }) => {
            ClientKey::Process { uid, pid }
        }
        (Identity::User, Peer::Local { uid: Some(uid), .. }) => ClientKey::User { uid },
        _ => ClientKey::Connection(CONNECTIONS.fetch_add(1, Ordering::Relaxed)),
    }
}

#[cfg(test)]
mod tests;

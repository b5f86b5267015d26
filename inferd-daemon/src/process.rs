//! The daemon as a whole: started in order, stopped in order.
//!
//! A configuration enters; a running [`Daemon`] leaves. The binary and programs that hold a daemon inside themselves use
//! the same two steps.
//!
//! Invariants:
//! - The inference socket does not exist before there is something to serve it.
//! - Stopping ends every task; what is still open after the drain gets its terminal frame first.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use inferd_engine::Backend;
use inferd_proto::{AdminStatus, LoadPhase};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::{self, Admin, Hub, Serving};
use crate::backends::{self, BackendError};
use crate::config::{BackendConfig, Config};
use crate::discover::{self, Candidate};
use crate::endpoint::{BindError, LocalListener, bind_tcp, inherited};
use crate::lifecycle::{Door, take_in};
use crate::lock::{Lock, LockError};
use crate::paths::{Paths, PathsError};
use crate::queue::{Admission, Limits};
use crate::router::{LaneConfig, Router};
use crate::secrets::{SecretError, Secrets};
use crate::service::{ConnectionLimits, Service, Stop};
use crate::service_manager::{self, Word};

pub use crate::admin::Sockets;

/// Why a daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The runtime directory cannot be used.
    #[error(transparent)]
    Paths(#[from] PathsError),
    /// The lock cannot be had.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A local socket cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The TCP address cannot be bound.
    #[error("cannot bind tcp {addr}")]
    Tcp {
        /// The address.
        addr: std::net::SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A socket that the service manager passed on cannot be used.
    #[error("cannot use the sockets passed on by the service manager")]
    Inherited(#[source] std::io::Error),
    /// A key is not where it should be.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A backend cannot be made.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// How long start-up waits for lanes to say what they serve. Those that are slower say it later.
const LEARN_PATIENCE: Duration = Duration::from_millis(500);

/// How long backends have to let go of what they hold.
const BACKEND_STOP: Duration = Duration::from_secs(5);

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    drain: CancellationToken,
    supervisor: JoinHandle<()>,
    sockets: Sockets,
    engines: Engines,
}

/// Where a daemon's backends come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engines {
    /// The configuration names them.
    Configured,
    /// Model servers were found on this machine.
    Discovered,
    /// None was found: the mock answers.
    Mock,
}

/// Starts a daemon; it serves when this returns.
///
/// # Errors
/// [`StartError`]: nothing is left behind.
pub async fn start(config: Config) -> Result<Daemon, StartError> {
    let paths = Paths::of_user().with_local(config.listen.local.as_deref());
    paths.prepare()?;
    let lock = Lock::acquire(&paths.lock)?;
    let secrets = Secrets::load(&config)?;

    let tasks = TaskTracker::new();
    let admin = Admin {
        hub: Hub::new(),
        drain: CancellationToken::new(),
        serving: Arc::new(OnceLock::new()),
        started: Instant::now(),
    };
    let admin_stop = CancellationToken::new();
    let admin_listener = LocalListener::bind(&paths.admin, None).await?;
    tasks.spawn(admin::serve(admin_listener, admin.clone(), admin_stop.clone()));
    // Until everything is up, an error ends what was begun.
    let unwind = admin_stop.clone().drop_guard();

    let (backends, engines) = backend_configs(&config).await;
    let router = Arc::new(open_lanes(&config, &backends, &secrets, &admin.hub)?);
    learn_models(&router, &tasks, &admin_stop).await;

    let stop = Stop::default();
    let service = Arc::new(Service {
        gate: Admission::with_limits(gate_limits(&config)),
        router: Arc::clone(&router),
        limits: connection_limits(&config),
        stop: stop.clone(),
    });
    let door = Door {
        service: Arc::clone(&service),
        keys: secrets.clients.map(Arc::new),
        identity: config.admission.client,
        connections: Arc::new(Semaphore::new(config.limits.connections_max)),
        tasks: TaskTracker::new(),
    };
    let Bound { local, tcp, sockets } = bind(&config, &paths).await?;
    let (listeners, connections) = (TaskTracker::new(), door.tasks.clone());
    if let Some(tcp) = tcp {
        listeners.spawn(take_in(tcp, door.clone()));
    }
    listeners.spawn(take_in(local, door));

    let serving = Serving { service, sockets: sockets.clone() };
    admin.serving.get_or_init(|| serving);
    admin.hub.publish(AdminStatus::Ready);
    service_manager::tell(Word::Ready);
    let stopped = admin_stop.clone();
    tasks.spawn(async move { stopped.run_until_cancelled(service_manager::keep_watchdog()).await });
    unwind.disarm();
    let drain = admin.drain.clone();
    let supervisor = Supervisor {
        lock,
        admin,
        admin_stop,
        stop,
        listeners,
        connections,
        tasks,
        router,
        drain_timeout: config.drain_timeout,
    };
    let supervisor = TaskTracker::new().spawn(supervisor.run());
    Ok(Daemon { drain, supervisor, sockets, engines })
}

impl Daemon {
    /// Asks it to finish what is open and stop.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Cancelled, it drains the daemon: for whoever has given the daemon itself away.
    #[must_use]
    pub fn drain_token(&self) -> CancellationToken {
        self.drain.clone()
    }

    /// Waits until it has stopped.
    pub async fn stopped(self) {
        if let Err(error) = self.supervisor.await {
            tracing::error!(%error, "the daemon did not stop in order");
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// Where its backends come from.
    #[must_use]
    pub fn engines(&self) -> Engines {
        self.engines
    }
}

/// What has to be ended, and in which order.
struct Supervisor {
    lock: Lock,
    admin: Admin,
    admin_stop: CancellationToken,
    stop: Stop,
    listeners: TaskTracker,
    connections: TaskTracker,
    tasks: TaskTracker,
    router: Arc<Router>,
    drain_timeout: Duration,
}

impl Supervisor {
    async fn run(self) {
        self.admin.drain.cancelled().await;
        tracing::info!(timeout_s = self.drain_timeout.as_secs_f64(), "draining");
        service_manager::tell(Word::Stopping);
        self.stop.drain();
        self.listeners.close();
        self.listeners.wait().await;
        // Said when it is so: nobody who has heard it still connects or has a request taken.
        self.admin.hub.publish(AdminStatus::Draining);
        self.connections.close();
        if tokio::time::timeout(self.drain_timeout, self.connections.wait()).await.is_err() {
            tracing::warn!("requests were still open after the drain timeout: ending them");
            self.stop.end();
            self.connections.wait().await;
        }
        for backend in self.router.backends() {
            if let Err(error) = backend.stop(BACKEND_STOP).await {
                tracing::warn!(backend = backend.name(), %error, "a backend did not stop in order");
            }
        }
        self.admin_stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        // Last: whoever gets the lock next finds the sockets gone.
        drop(self.lock);
    }
}

/// The backends to open: those configured, else those found, else the mock.
async fn backend_configs(config: &Config) -> (Vec<BackendConfig>, Engines) {
    if !config.backends.is_empty() {
        return (config.backends.clone(), Engines::Configured);
    }
    let found = discover::find(&Candidate::usual()).await;
    if found.is_empty() {
        tracing::warn!("no backend is configured and no model server was found: the mock answers");
        return (vec![discover::fallback_mock()], Engines::Mock);
    }
    (found, Engines::Discovered)
}

fn open_lanes(
    config: &Config,
    backends: &[BackendConfig],
    secrets: &Secrets,
    hub: &Hub,
) -> Result<Router, StartError> {
    let mut lanes: Vec<(Arc<dyn Backend>, LaneConfig)> = Vec::new();
    for backend in backends {
        let name = backend.name.clone();
        hub.publish(AdminStatus::LoadingModel { phase: LoadPhase::CheckingLocal, backend: name.clone() });
        let engine = backends::build(backend, secrets)?;
        let can = engine.capabilities();
        hub.publish(AdminStatus::Capabilities {
            backend: name,
            vision: can.vision,
            audio: false,
            tools: can.tools,
            thinking: can.thinking,
            embed: can.embed,
        });
        let lane = LaneConfig {
            kind: backend.engine.kind(),
            models: backend.models.clone(),
            aliases: backend.aliases.clone(),
            priority: backend.priority,
            concurrency: backend.concurrency,
            breaker: config.breaker,
        };
        lanes.push((engine, lane));
    }
    Ok(Router::with_lanes(lanes))
}

/// Asks lanes what they serve. Too slow is no failure: a lane takes any model until it has said which.
async fn learn_models(router: &Arc<Router>, tasks: &TaskTracker, stopped: &CancellationToken) {
    let (router, stopped) = (Arc::clone(router), stopped.clone());
    let learnt = tasks.spawn(async move { stopped.run_until_cancelled(router.learn_models()).await });
    if tokio::time::timeout(LEARN_PATIENCE, learnt).await.is_err() {
        tracing::info!("some lanes have not said yet which models they serve");
    }
}

/// What requests come through.
struct Bound {
    local: LocalListener,
    tcp: Option<TcpListener>,
    sockets: Sockets,
}

/// Binds what is configured, or takes over what the service manager has bound in its place.
async fn bind(config: &Config, paths: &Paths) -> Result<Bound, StartError> {
    let inherited = inherited().map_err(StartError::Inherited)?;
    let local = match inherited.local {
        Some(passed) => LocalListener::adopt(passed),
        None => LocalListener::bind(&paths.local, config.listen.group.as_deref()).await?,
    };
    let tcp = match (inherited.tcp, config.listen.tcp) {
        (Some(tcp), _) => Some(tcp),
        (None, Some(addr)) => {
            let bound = bind_tcp(&addr.to_string()).await;
            Some(bound.map_err(|source| StartError::Tcp { addr, source })?)
        }
        (None, None) => None,
    };
    let sockets = Sockets {
        local: local.path().unwrap_or(&paths.local).to_owned(),
        tcp: tcp.as_ref().and_then(|tcp| tcp.local_addr().ok()),
    };
    Ok(Bound { local, tcp, sockets })
}

fn gate_limits(config: &Config) -> Limits {
    Limits {
        active: config.admission.active,
        queue_depth: config.admission.queue_depth,
        per_client_queue: config.admission.per_client_queue(),
        ageing: config.admission.ageing,
    }
}

fn connection_limits(config: &Config) -> ConnectionLimits {
    ConnectionLimits {
        frame_bytes_max: config.limits.frame_bytes_max,
        open_requests_max: config.limits.open_requests_max,
        idle_timeout: config.limits.idle_timeout,
    }
}

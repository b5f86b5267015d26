//! From nothing to a daemon that serves, in order: lock, admin socket, keys, backends, listeners.

use std::net::SocketAddr;
use std::sync::Arc;

use inferd_proto::AdminStatus;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::live::{Around, Live};
use super::reloader::Reloader;
use super::supervisor::Supervisor;
use super::wanted::Wanted;
use super::{Daemon, Sockets, StartError};
use crate::admin::{self, Admin, Serving};
use crate::config::{Config, Source};
use crate::endpoint::{LocalListener, bind_tcp, inherited};
use crate::lifecycle::take_in;
use crate::lock::Lock;
use crate::mcp::{self, Handler};
use crate::paths::Paths;
use crate::service::Stop;
use crate::service_manager::{self, Word};
use crate::state::{Settings, State};

/// Starts the daemon that `source` describes; it serves when this returns, and reads `source` again when it is told to.
///
/// # Errors
/// [`StartError`]: nothing is left behind.
pub async fn start(source: Source) -> Result<Daemon, StartError> {
    let config = source.read()?;
    let paths =
        Paths::of_user().with_local(config.listen.local.as_deref()).with_state(config.state.path.as_deref());
    paths.prepare()?;
    let lock = Lock::acquire(&paths.lock)?;

    let (tasks, admin_stop) = (TaskTracker::new(), CancellationToken::new());
    let (reloader, asked) = Reloader::new();
    let admin = Admin::new(reloader.clone());
    let admin_listener = LocalListener::bind(&paths.admin, None).await?;
    tasks.spawn(admin::serve(admin_listener, admin.clone(), admin_stop.clone()));
    // Until everything is up, an error ends what was begun.
    let unwind = admin_stop.clone().drop_guard();

    let state = remember(&paths, &config);
    let around = Around { hub: admin.hub.clone(), tasks: tasks.clone(), state, stopping: admin_stop.clone() };
    let (wanted, stop) = (Wanted::of(config).await?, Stop::default());
    let engines = wanted.engines;
    let live = Live::open(source, wanted, stop.clone(), around)?;
    live.learn_models().await;
    live.keep_models_fresh();
    live.heed_lenders();

    let Bound { local, tcp, mcp, sockets } = bind(live.config(), &paths).await?;
    let door = live.door();
    let (listeners, connections) = (TaskTracker::new(), door.tasks.clone());
    if let Some(tcp) = tcp {
        listeners.spawn(take_in(tcp, door.clone()));
    }
    listeners.spawn(take_in(local, door));
    let sessions = match mcp {
        Some(listener) => {
            let menu = mcp::own_menu();
            connections.spawn(live.federation(menu.clone()).run(stop.clone()));
            let desk = live.desk(menu, connections.clone(), admin.started);
            let sessions = live.sessions().await;
            connections.spawn(Arc::clone(&desk).announce());
            let handler = move || Handler::new(Arc::clone(&desk));
            connections.spawn(mcp::serve(listener, live.mcp(), handler, sessions.clone(), stop.clone()));
            Some(sessions)
        }
        None => None,
    };

    admin.serving.get_or_init(|| Serving {
        service: live.service(),
        sockets: sockets.clone(),
        sessions,
        lenders: live.lenders(),
        upstreams: live.upstreams().clone(),
    });
    admin.hub.publish(AdminStatus::Ready);
    service_manager::tell(Word::Ready);
    let stopped = admin_stop.clone();
    tasks.spawn(async move { stopped.run_until_cancelled(service_manager::keep_watchdog()).await });
    unwind.disarm();
    let drain = admin.drain.clone();
    let supervisor = Supervisor { lock, admin, admin_stop, stop, listeners, connections, tasks, live, asked };
    let supervisor = TaskTracker::new().spawn(supervisor.run());
    Ok(Daemon { drain, reloader, supervisor, sockets, engines })
}

/// Begins to keep state. A daemon that cannot serves all the same.
fn remember(paths: &Paths, config: &Config) -> Option<State> {
    let settings = Settings::new(&paths.state, config.state.audit_days);
    let state = State::open(settings);
    state.inspect_err(|error| tracing::warn!(%error, "no state is kept: there is no thread for it")).ok()
}

/// What requests come through.
struct Bound {
    local: LocalListener,
    tcp: Option<TcpListener>,
    mcp: Option<TcpListener>,
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
        (None, Some(addr)) => Some(listen_on(addr).await?),
        (None, None) => None,
    };
    let mcp = match config.mcp.listen {
        Some(addr) => Some(listen_on(addr).await?),
        None => None,
    };
    let addr_of = |listener: Option<&TcpListener>| listener.and_then(|listener| listener.local_addr().ok());
    let sockets = Sockets {
        local: local.path().unwrap_or(&paths.local).to_owned(),
        tcp: addr_of(tcp.as_ref()),
        mcp: addr_of(mcp.as_ref()),
    };
    Ok(Bound { local, tcp, mcp, sockets })
}

async fn listen_on(addr: SocketAddr) -> Result<TcpListener, StartError> {
    bind_tcp(&addr.to_string()).await.map_err(|source| StartError::Tcp { addr, source })
}

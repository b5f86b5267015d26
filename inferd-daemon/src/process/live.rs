//! What a daemon serves, and how that is replaced while requests run.
//!
//! Invariants:
//! - Nothing is changed before all of the new configuration is known to work: a bad one leaves the old in force.
//! - Applying waits for nothing. No request is dropped, refused or moved by it; what runs finishes where it runs.

use std::sync::Arc;
use std::time::Duration;

use inferd_engine::Backend;
use inferd_proto::{AdminStatus, LoadPhase, Reloaded};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::plan::Plan;
use super::reloader::ReloadError;
use super::wanted::Wanted;
use crate::admin::Hub;
use crate::agent::Agents;
use crate::backends::BackendError;
use crate::config::{BackendConfig, Config, RoomConfig, Source};
use crate::lifecycle::{Door, Room, Terms};
use crate::mcp::{Desk, Federation, Lending, McpConfig, Menu, Pool, SessionStore};
use crate::queue::Admission;
use crate::router::{LaneConfig, Router};
use crate::service::{Service, Stop};
use crate::state::State;
use crate::upstream::{Patience, Upstreams};

/// Everything that a reload changes.
pub(super) struct Live {
    source: Source,
    wanted: Wanted,
    /// What was built of each backend that is wanted, in their order.
    built: Vec<Arc<dyn Backend>>,
    /// Clients that lend their models.
    pool: Pool,
    /// The lane that they have where none is configured for them.
    implied: watch::Sender<Option<Implied>>,
    /// Whether clients that can lend their models are asked without having offered to.
    standalone: watch::Sender<bool>,
    terms: watch::Sender<Terms>,
    mcp: watch::Sender<McpConfig>,
    rooms: watch::Sender<Vec<RoomConfig>>,
    room: Room,
    upstreams: Upstreams,
    around: Around,
}

/// A lane that nobody has configured.
type Implied = (Arc<dyn Backend>, LaneConfig);

/// What stays as it is around it.
pub(super) struct Around {
    pub(super) hub: Hub,
    pub(super) tasks: TaskTracker,
    /// What is remembered over a restart, where the system lets it be.
    pub(super) state: Option<State>,
    /// Cancelled when the tasks are to end.
    pub(super) stopping: CancellationToken,
}

/// How long start-up waits for lanes to say what they serve. Those that are slower say it later.
const LEARN_PATIENCE: Duration = Duration::from_millis(500);

impl Live {
    /// Makes what `wanted`, which was read from `source`, asks for.
    pub(super) fn open(
        source: Source,
        wanted: Wanted,
        stop: Stop,
        around: Around,
    ) -> Result<Self, BackendError> {
        let (pool, mut built) = (Pool::default(), Vec::new());
        for backend in &wanted.backends {
            let phase = LoadPhase::CheckingLocal;
            around.hub.publish(AdminStatus::LoadingModel { phase, backend: backend.name.clone() });
            let backend = wanted.recipe(backend).build(&pool)?;
            around.hub.publish(abilities(&*backend));
            built.push(backend);
        }
        let upstreams = Upstreams::new(Patience::default(), &around.stopping);
        let service = Service {
            gate: Admission::with_limits(wanted.gate_limits()),
            router: Arc::new(Router::with_lanes(wanted.lanes(&built))),
            limits: wanted.connection_limits(),
            stop,
            audit: wanted.audit(around.state.as_ref()),
            agents: Agents::new(upstreams.clone()),
        };
        service.agents.reconfigure(wanted.servers(), &wanted.config.rooms);
        upstreams.want(wanted.servers());
        let terms = watch::Sender::new(wanted.terms(service));
        let mcp = watch::Sender::new(wanted.mcp());
        let rooms = watch::Sender::new(wanted.config.rooms.clone());
        let room = Room::new(wanted.config.limits.connections_max);
        let implied = watch::Sender::new(implied(&wanted, &pool)?);
        let standalone = watch::Sender::new(wanted.config.mcp.standalone);
        Ok(Self {
            source,
            wanted,
            built,
            pool,
            implied,
            standalone,
            terms,
            mcp,
            rooms,
            room,
            upstreams,
            around,
        })
    }

    pub(super) fn config(&self) -> &Config {
        &self.wanted.config
    }

    pub(super) fn state(&self) -> Option<&State> {
        self.around.state.as_ref()
    }

    pub(super) fn backends(&self) -> &[Arc<dyn Backend>] {
        &self.built
    }

    /// The upstream servers. They are the same value at any time.
    pub(super) fn upstreams(&self) -> &Upstreams {
        &self.upstreams
    }

    /// What connections work with now. Gate and lanes are the same ones at any time.
    pub(super) fn service(&self) -> Arc<Service> {
        Arc::clone(&self.terms.borrow().service)
    }

    pub(super) fn door(&self) -> Door {
        Door::new(self.terms.subscribe(), self.room.clone())
    }

    /// What MCP calls of what is on `menu` work with; each is counted by `calls`.
    pub(super) fn desk(&self, menu: Menu, calls: TaskTracker, started: Instant) -> Arc<Desk> {
        let lending = Lending::new(self.pool.clone(), self.standalone.subscribe());
        Desk::new(self.terms.subscribe(), menu, calls, started, lending)
    }

    /// Has what upstream servers and rooms offer on `menu`.
    pub(super) fn federation(&self, menu: Menu) -> Federation {
        Federation { upstreams: self.upstreams.clone(), rooms: self.rooms.subscribe(), menu }
    }

    /// Where sessions of MCP clients are kept.
    pub(super) async fn sessions(&self) -> SessionStore {
        match &self.around.state {
            Some(state) if self.wanted.config.mcp.persist => SessionStore::on_shelf(state.clone()).await,
            _ => SessionStore::new(),
        }
    }

    /// Whom the MCP listener lets in.
    pub(super) fn mcp(&self) -> watch::Receiver<McpConfig> {
        self.mcp.subscribe()
    }

    /// Asks lanes what they serve, and waits a little. Too slow is no failure: a lane takes any model until it has said
    /// which.
    pub(super) async fn learn_models(&self) {
        let (service, stopping) = (self.service(), self.around.stopping.clone());
        let learn = async move { stopping.run_until_cancelled(service.router.learn_models()).await };
        let learnt = self.around.tasks.spawn(learn);
        if tokio::time::timeout(LEARN_PATIENCE, learnt).await.is_err() {
            tracing::info!("some lanes have not said yet which models they serve");
        }
    }

    /// Has lanes asked again from time to time, and when there is reason to.
    pub(super) fn keep_models_fresh(&self) {
        let (service, stopping) = (self.service(), self.around.stopping.clone());
        let keep = async move { stopping.run_until_cancelled(service.router.keep_models_fresh()).await };
        self.around.tasks.spawn(keep);
    }

    /// How many clients lend their models.
    pub(super) fn lenders(&self) -> watch::Receiver<usize> {
        self.pool.watch()
    }

    /// Has a lane for clients that lend their models while there are any.
    pub(super) fn heed_lenders(&self) {
        let (service, stopping) = (self.service(), self.around.stopping.clone());
        let (mut present, mut implied) = (self.pool.watch(), self.implied.subscribe());
        let heed = async move {
            loop {
                let anybody = *present.borrow_and_update() > 0;
                let lane = implied.borrow_and_update().clone().filter(|_| anybody);
                service.router.have_guest(lane);
                tokio::select! {
                    Ok(()) = present.changed() => {}
                    Ok(()) = implied.changed() => {}
                    else => return,
                }
            }
        };
        self.around.tasks.spawn(async move { stopping.run_until_cancelled(heed).await });
    }

    /// Reads the configuration again, prepares what it asks for, and goes by it. Dropped before its end, it has changed
    /// nothing.
    pub(super) async fn reload(&mut self) -> Result<Reloaded, ReloadError> {
        let config = self.source.read()?;
        if let (Some(file), None) = (&self.wanted.config.file, &config.file) {
            return Err(ReloadError::Gone(file.clone()));
        }
        let mut wanted = Wanted::of(config).await?;
        let plan = Plan::between(&self.wanted, &wanted);
        wanted.config = wanted.config.listening_as(&self.wanted.config)?;
        let built = self.build(&wanted, &plan)?;
        let implied = implied(&wanted, &self.pool)?;
        self.apply(wanted, built, &plan);
        self.implied.send_replace(implied);
        Ok(plan.report())
    }

    /// What is wanted, made of what there is as far as that stays.
    fn build(&self, wanted: &Wanted, plan: &Plan) -> Result<Vec<Arc<dyn Backend>>, BackendError> {
        let build = |backend: &BackendConfig| {
            let before = self.built.iter().find(|built| built.name() == backend.name);
            match before.filter(|_| plan.keeps(&backend.name)) {
                Some(before) => Ok(Arc::clone(before)),
                None => wanted.recipe(backend).build(&self.pool),
            }
        };
        wanted.backends.iter().map(build).collect()
    }

    fn apply(&mut self, wanted: Wanted, built: Vec<Arc<dyn Backend>>, plan: &Plan) {
        let service = self.service();
        service.gate.reconfigure(wanted.gate_limits());
        service.router.reconfigure(wanted.lanes(&built));
        self.room.resize(wanted.config.limits.connections_max);
        service.agents.reconfigure(wanted.servers(), &wanted.config.rooms);
        let service = Service { limits: wanted.connection_limits(), ..(*service).clone() };
        self.terms.send_replace(wanted.terms(service));
        self.mcp.send_replace(wanted.mcp());
        self.rooms.send_replace(wanted.config.rooms.clone());
        self.upstreams.want(wanted.servers());
        self.standalone.send_replace(wanted.config.mcp.standalone);
        self.wanted = wanted;

        let replaced = std::mem::replace(&mut self.built, built);
        for backend in replaced.into_iter().filter(|backend| !plan.keeps(backend.name())) {
            self.around.tasks.spawn(retire(backend, self.around.stopping.clone()));
        }
        let mut any_new = false;
        for backend in self.built.iter().filter(|backend| !plan.keeps(backend.name())) {
            self.around.hub.publish(abilities(&**backend));
            any_new = true;
        }
        if any_new {
            self.around.hub.publish(AdminStatus::Ready);
        }
    }
}

/// The lane of clients that lend their models, where `wanted` has none for them.
fn implied(wanted: &Wanted, pool: &Pool) -> Result<Option<Implied>, BackendError> {
    let Some((backend, lane)) = wanted.implied() else { return Ok(None) };
    Ok(Some((wanted.recipe(&backend).build(pool)?, lane)))
}

/// What a backend says it can do, for whoever watches.
fn abilities(backend: &dyn Backend) -> AdminStatus {
    let can = backend.capabilities();
    AdminStatus::Capabilities {
        backend: backend.name().to_owned(),
        vision: can.vision,
        audio: false,
        tools: can.tools,
        thinking: can.thinking,
        embed: can.embed,
    }
}

/// How often a backend that is no longer wanted is looked at: whoever still uses it has no way to announce its end.
const RETIRE_POLL: Duration = Duration::from_millis(50);

/// Stops a backend when nobody uses it any more, or when the daemon stops.
async fn retire(backend: Arc<dyn Backend>, stopping: CancellationToken) {
    let unused = async {
        while Arc::strong_count(&backend) > 1 {
            tokio::time::sleep(RETIRE_POLL).await;
        }
    };
    stopping.run_until_cancelled(unused).await;
    stop_backend(&*backend).await;
}

/// How long a backend has to let go of what it holds.
const BACKEND_STOP: Duration = Duration::from_secs(5);

pub(super) async fn stop_backend(backend: &dyn Backend) {
    if let Err(error) = backend.stop(BACKEND_STOP).await {
        tracing::warn!(backend = backend.name(), %error, "a backend did not stop in order");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use async_trait::async_trait;
    use inferd_engine::{GenerateError, TokenStream};
    use inferd_proto::Resolved;

    use super::*;

    /// Notes that it was stopped.
    struct Noting(Arc<AtomicBool>);

    #[async_trait]
    impl Backend for Noting {
        fn name(&self) -> &'static str {
            "noting"
        }

        fn ready(&self) -> bool {
            true
        }

        async fn generate(&self, _request: Resolved) -> Result<TokenStream, GenerateError> {
            Err(GenerateError::NotReady)
        }

        async fn stop(&self, _timeout: Duration) -> Result<(), GenerateError> {
            self.0.store(true, Ordering::SeqCst);
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_is_not_wanted_is_stopped_after_its_last_use_or_with_the_daemon() {
        for daemon_ends in [false, true] {
            let stopped = Arc::new(AtomicBool::new(false));
            let backend: Arc<dyn Backend> = Arc::new(Noting(Arc::clone(&stopped)));
            let (using, stopping) = (Arc::clone(&backend), CancellationToken::new());
            let tasks = TaskTracker::new();
            let retired = tasks.spawn(retire(backend, stopping.clone()));
            tokio::time::sleep(Duration::from_secs(3600)).await;
            assert!(!stopped.load(Ordering::SeqCst), "somebody uses it");
            if daemon_ends {
                stopping.cancel();
            } else {
                drop(using);
            }
            retired.await.unwrap();
            assert!(stopped.load(Ordering::SeqCst));
        }
    }
}

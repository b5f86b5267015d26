//! What is to be served: a configuration enters; with it leave the backends it comes to, their keys, and what gate,
//! lanes and connections go by.

use std::net::IpAddr;
use std::sync::Arc;

use inferd_engine::Backend;

use super::Engines;
use crate::audit::Audit;
use crate::backends::Recipe;
use crate::config::{BackendConfig, Config, EngineConfig, Priorities};
use crate::discover::{self, Candidate};
use crate::lifecycle::Terms;
use crate::mcp;
use crate::queue;
use crate::router::LaneConfig;
use crate::secrets::{SecretError, Secrets};
use crate::service::{ConnectionLimits, Service};
use crate::state::State;
use crate::upstream;

/// The lane, and the model, of clients that lend theirs where none is configured.
const IMPLIED: &str = "sampling";
/// Before all that can be configured.
const IMPLIED_PRIORITY: i32 = -1001;

/// A configuration with everything that it names.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) config: Config,
    /// Those configured, else those found, else the mock.
    pub(super) backends: Vec<BackendConfig>,
    pub(super) engines: Engines,
    pub(super) secrets: Secrets,
}

impl Wanted {
    /// Fetches the keys, and looks for model servers where no backend is configured.
    pub(super) async fn of(config: Config) -> Result<Self, SecretError> {
        let secrets = Secrets::load(&config)?;
        if !config.backends.is_empty() {
            let backends = config.backends.clone();
            return Ok(Self { config, backends, engines: Engines::Configured, secrets });
        }
        let found = discover::find(&Candidate::usual()).await;
        if found.is_empty() {
            tracing::warn!("no backend is configured and no model server was found: the mock answers");
            let backends = vec![discover::fallback_mock()];
            return Ok(Self { config, backends, engines: Engines::Mock, secrets });
        }
        Ok(Self { config, backends: found, engines: Engines::Discovered, secrets })
    }

    /// The backend of this name.
    pub(super) fn backend(&self, name: &str) -> Option<&BackendConfig> {
        self.backends.iter().find(|backend| backend.name == name)
    }

    /// What one of its backends is built from.
    pub(super) fn recipe<'a>(&'a self, backend: &'a BackendConfig) -> Recipe<'a> {
        Recipe::of(backend, &self.secrets)
    }

    /// The lanes of its backends, given what was built of them, in their order.
    pub(super) fn lanes(&self, built: &[Arc<dyn Backend>]) -> Vec<(Arc<dyn Backend>, LaneConfig)> {
        let lane = |(backend, built): (&BackendConfig, &Arc<dyn Backend>)| {
            let config = LaneConfig {
                kind: backend.engine.kind(),
                models: backend.models.clone(),
                aliases: backend.aliases.clone(),
                priority: backend.priority,
                concurrency: backend.concurrency,
                hedge_after: backend.hedge_after,
                breaker: self.config.breaker,
                peers: matches!(backend.engine, EngineConfig::Sampling(_)),
                by_name: false,
            };
            (Arc::clone(built), config)
        };
        self.backends.iter().zip(built).map(lane).collect()
    }

    /// The backend for MCP clients that lend their models where none is configured; `None`: one is, or no client comes. It
    /// is asked for by its name, which is that of its model, and for anything where there is but the mock.
    pub(super) fn implied(&self) -> Option<(BackendConfig, LaneConfig)> {
        let is_sampling = |backend: &BackendConfig| matches!(backend.engine, EngineConfig::Sampling(_));
        let is_taken = self.backends.iter().any(|backend| is_sampling(backend) || backend.name == IMPLIED);
        if self.config.mcp.listen.is_none() || is_taken {
            return None;
        }
        let backend = BackendConfig::new(IMPLIED, EngineConfig::Sampling(Priorities::default()));
        let lane = LaneConfig {
            kind: backend.engine.kind(),
            models: vec![IMPLIED.to_owned()],
            // Whoever lends a model is preferred to a mock, and to nothing else.
            priority: IMPLIED_PRIORITY,
            concurrency: backend.concurrency,
            peers: true,
            by_name: self.engines != Engines::Mock,
            ..LaneConfig::default()
        };
        Some((backend, lane))
    }

    /// The terms on which `service` is for whoever comes.
    pub(super) fn terms(&self, service: Service) -> Terms {
        let keys = self.secrets.clients.clone().map(Arc::new);
        Terms { service: Arc::new(service), keys, identity: self.config.admission.client }
    }

    /// Whom the MCP listener lets in.
    pub(super) fn mcp(&self) -> mcp::McpConfig {
        let listens = self.config.mcp.listen.map(|addr| addr.ip()).filter(|ip| !ip.is_unspecified());
        let host = listens.map(|ip| match ip {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        });
        let connections_max = self.config.limits.connections_max;
        mcp::McpConfig {
            allowed_origins: self.config.mcp.allowed_origins.clone(),
            allowed_hosts: host.into_iter().collect(),
            keys: self.secrets.mcp_clients.clone().map(Arc::new),
            limits: mcp::Limits { connections_max, ..mcp::Limits::default() },
        }
    }

    /// The upstream servers, with what they are shown.
    pub(super) fn servers(&self) -> impl Iterator<Item = upstream::Wanted> {
        self.config.servers.iter().map(|server| upstream::Wanted {
            config: server.clone(),
            key: self.secrets.of_server(&server.id).cloned(),
        })
    }

    pub(super) fn gate_limits(&self) -> queue::Limits {
        queue::Limits {
            active: self.config.admission.active,
            queue_depth: self.config.admission.queue_depth,
            per_client_queue: self.config.admission.per_client_queue(),
            ageing: self.config.admission.ageing,
        }
    }

    /// Where calls leave their rows.
    pub(super) fn audit(&self, state: Option<&State>) -> Audit {
        match state {
            Some(state) if self.config.state.audit_days > 0 => Audit::new(state.clone()),
            _ => Audit::off(),
        }
    }

    pub(super) fn connection_limits(&self) -> ConnectionLimits {
        ConnectionLimits {
            frame_bytes_max: self.config.limits.frame_bytes_max,
            open_requests_max: self.config.limits.open_requests_max,
            idle_timeout: self.config.limits.idle_timeout,
        }
    }
}

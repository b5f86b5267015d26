//! What every connection works with: the gate, the lanes, the limits, and the word that it is time to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use inferd_proto::{Hello, Limits, MAX_FRAME_BYTES, PROTOCOL_VERSION};
use tokio_util::sync::CancellationToken;

use crate::agent::Agents;
use crate::audit::Audit;
use crate::queue::Admission;
use crate::router::Router;

/// Additive features of the protocol that are always served, as `hello` names them.
const FEATURES: [&str; 12] = [
    "agent",
    "blocks",
    "cancel",
    "deadline",
    "embed",
    "hello",
    "model",
    "pipelining",
    "priority",
    "progress",
    "response_format",
    "tools",
];

/// The feature of a daemon that has upstream servers.
const SERVERS: &str = "servers";

/// Shared by all connections of a daemon.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) gate: Admission,
    pub(crate) router: Arc<Router>,
    pub(crate) limits: ConnectionLimits,
    pub(crate) stop: Stop,
    /// Where calls leave their rows.
    pub(crate) audit: Audit,
    /// Agent turns, and the upstream servers whose tools they call.
    pub(crate) agents: Agents,
}

/// What one connection may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionLimits {
    pub(crate) frame_bytes_max: usize,
    pub(crate) open_requests_max: usize,
    pub(crate) idle_timeout: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            frame_bytes_max: MAX_FRAME_BYTES,
            open_requests_max: 256,
            idle_timeout: Duration::from_secs(600),
        }
    }
}

/// The two words that end a daemon.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Accept nothing new; finish what is open.
    draining: CancellationToken,
    /// End what is still open.
    ending: CancellationToken,
    /// Whether either was said: a look at it takes no lock.
    said: Arc<AtomicBool>,
}

impl Stop {
    /// Says that nothing new is accepted and what is open is finished.
    pub fn drain(&self) {
        self.said.store(true, Ordering::Release);
        self.draining.cancel();
    }

    /// Says that what is still open is ended.
    pub fn end(&self) {
        self.said.store(true, Ordering::Release);
        self.ending.cancel();
    }

    /// Whether anything was said.
    pub(crate) fn is_said(&self) -> bool {
        self.said.load(Ordering::Acquire)
    }

    pub(crate) async fn draining(&self) {
        self.draining.cancelled().await;
    }

    pub(crate) async fn ending(&self) {
        self.ending.cancelled().await;
    }
}

impl Service {
    /// Whether there are upstream servers, be they there or not.
    pub(crate) fn has_servers(&self) -> bool {
        !self.agents.upstreams().catalogue().servers.is_empty()
    }

    /// The answer to `hello`.
    pub(crate) fn hello(&self) -> Hello {
        let gate = self.gate.limits();
        let servers = self.has_servers().then_some(SERVERS);
        Hello {
            protocol: PROTOCOL_VERSION,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            features: FEATURES.into_iter().chain(servers).map(str::to_owned).collect(),
            limits: Limits {
                frame_bytes_max: self.limits.frame_bytes_max,
                open_requests_max: self.limits.open_requests_max,
                active: gate.active,
                queue_depth: gate.queue_depth,
            },
            models: self.router.models(),
        }
    }
}

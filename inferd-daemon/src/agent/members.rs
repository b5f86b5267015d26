//! The servers that agent turns may run on: the daemon itself, and each that is configured. A name enters; how far a request
//! on it reaches leaves.
//!
//! Invariants:
//! - The daemon itself is always there. On it a request reaches the tools of all servers, on another those of that one.
//! - A server that is not configured as it was is another one: what ran on the old one ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use inferd_engine::inferd::{Inferd, InferdAddress, InferdConfig};
use inferd_engine::servers::{RunStream, ServerConnection, ServerRegistry};
use inferd_engine::tools::{FederatedToolRegistryResolver, ToolResolver};
use inferd_engine::{Backend, GenerateError, TokenStream};
use inferd_proto::Resolved;

use super::OWN;
use super::error::AgentError;
use super::federation::{Federated, ToldApart, ToolsOf};
use super::rooms::Rooms;
use super::threads::Threads;
use crate::config::Reach as ServerReach;
use crate::router::{LaneConfig, Router};
use crate::upstream::{Upstreams, Wanted};

/// See the module.
#[derive(Debug)]
pub(super) struct Members {
    registry: ServerRegistry,
    configured: Mutex<BTreeMap<String, Member>>,
    upstreams: Upstreams,
    rooms: Rooms,
    threads: Threads,
}

/// A server that is configured.
#[derive(Debug)]
struct Member {
    wanted: Wanted,
    /// That of another daemon: a lane of its own, with a breaker of its own.
    lanes: Option<Arc<Router>>,
}

/// What a request on a server is served with.
pub(super) struct Reach {
    /// Where its steps are routed; `None`: among the daemon's own lanes.
    pub(super) lanes: Option<Arc<Router>>,
    pub(super) tools: Arc<dyn ToolResolver>,
}

impl Members {
    pub(super) fn new(upstreams: Upstreams, rooms: Rooms, threads: Threads) -> Self {
        let members =
            Self { registry: ServerRegistry::new(), configured: Mutex::default(), upstreams, rooms, threads };
        members.add(OWN, None);
        members
    }

    pub(super) fn registry(&self) -> &ServerRegistry {
        &self.registry
    }

    /// Makes these the servers there are, beside the daemon itself.
    pub(super) fn replace(&self, servers: impl IntoIterator<Item = Wanted>) {
        let mut configured = self.configured.lock().unwrap_or_else(PoisonError::into_inner);
        let new: BTreeMap<String, Wanted> =
            servers.into_iter().map(|server| (server.config.id.clone(), server)).collect();
        configured.retain(|id, old| {
            let stays = new.get(id) == Some(&old.wanted);
            if !stays {
                self.registry.remove(id);
            }
            stays
        });
        for (id, wanted) in new {
            configured.entry(id).or_insert_with_key(|id| {
                self.add(id, Some((id.clone(), self.upstreams.clone())));
                let lanes = lane(&wanted);
                Member { wanted, lanes }
            });
        }
    }

    /// How far a request on this server reaches.
    pub(super) fn reach(&self, server: &str) -> Result<Reach, AgentError> {
        let connection = self.registry.require(server)?;
        let tools: Arc<dyn ToolResolver> = if server == OWN {
            let servers = self.registry.clone();
            Arc::new(FederatedToolRegistryResolver::new(servers.clone(), Arc::new(servers)))
        } else {
            Arc::new(ToolsOf(connection))
        };
        let configured = self.configured.lock().unwrap_or_else(PoisonError::into_inner);
        let lanes = configured.get(server).and_then(|member| member.lanes.clone());
        Ok(Reach { lanes, tools: Arc::new(ToldApart(tools)) })
    }

    fn add(&self, id: &str, upstream: Option<(String, Upstreams)>) {
        let api = Federated { upstream, rooms: self.rooms.clone(), threads: self.threads.clone() };
        let connection = ServerConnection::new(id, Arc::new(api), Arc::new(Unaccounted));
        let added = connection.and_then(|connection| self.registry.add(connection));
        added.expect("the configuration has checked ids, and each is there once");
    }
}

/// The lane of a server that generates; an MCP server does not.
fn lane(server: &Wanted) -> Option<Arc<Router>> {
    let ServerReach::Inferd { address, .. } = &server.config.reach else { return None };
    let address = InferdAddress::Tcp(address.clone());
    let config =
        InferdConfig { api_key: server.key.clone(), ..InferdConfig::new(server.config.id.as_str(), address) };
    let backend = Inferd::new(config)
        .inspect_err(|error| tracing::error!(server = server.config.id, %error, "a server cannot generate"));
    let lane = |backend| {
        let config = LaneConfig { kind: "inferd", ..LaneConfig::default() };
        (Arc::new(backend) as Arc<dyn Backend>, config)
    };
    // Without its lane there is none: what is meant for it is not generated elsewhere.
    Some(Arc::new(Router::with_lanes(backend.ok().map(lane))))
}

/// What a connection generates by itself: nothing. A step belongs to somebody's account, which the session brings.
struct Unaccounted;

#[async_trait]
impl RunStream for Unaccounted {
    async fn run(&self, _turn: Resolved) -> Result<TokenStream, GenerateError> {
        Err(GenerateError::Internal("a step without an account".to_owned()))
    }
}

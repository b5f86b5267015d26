//! Asks all servers for their tools, at once.
//!
//! Invariants:
//! - A server that fails, is slow or breaks down costs its own tools and no others, and is named.
//! - No server is waited for longer than its time-out.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::time::timeout;

use super::error::ToolError;
use super::federated::FederatedToolRegistry;
use super::registry::ToolRegistry;
use super::resolver::{ServerScopedToolResolver, ToolResolver};
use crate::servers::{ServerId, ServerRegistry};

/// How long a server may take to list its tools.
pub const SERVER_TIMEOUT: Duration = Duration::from_secs(30);

/// The tools of a room on every server of a registry.
#[derive(Clone)]
pub struct FederatedToolRegistryResolver {
    servers: ServerRegistry,
    resolver: Arc<dyn ServerScopedToolResolver>,
    server_timeout: Duration,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Federated {
    /// The tools.
    pub registry: FederatedToolRegistry,
    /// The servers that are left out, sorted.
    pub skipped: Vec<Skipped>,
}

/// A server whose tools are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Which.
    pub server_id: ServerId,
    /// And why.
    pub error: ToolError,
}

impl FederatedToolRegistryResolver {
    /// Asks `resolver` for the tools of each server in `servers`, as they are when it is asked, and waits for
    /// [`SERVER_TIMEOUT`].
    #[must_use]
    pub fn new(servers: ServerRegistry, resolver: Arc<dyn ServerScopedToolResolver>) -> Self {
        Self { servers, resolver, server_timeout: SERVER_TIMEOUT }
    }

    /// The same, with another time-out for each server.
    #[must_use]
    pub fn with_server_timeout(self, server_timeout: Duration) -> Self {
        Self { server_timeout, ..self }
    }

    /// The tools for `room` of all servers that have them to give, and which have not. Those are warned of, too.
    pub async fn resolve(&self, room: &str) -> Federated {
        let asked = self.servers.server_ids().into_iter().map(|server| async move {
            let tools = self.ask(&server, room).await;
            (server, tools)
        });
        let mut found = BTreeMap::new();
        let mut skipped = Vec::new();
        for (server_id, tools) in join_all(asked).await {
            match tools {
                Ok(tools) => {
                    found.insert(server_id, tools);
                }
                Err(error) => {
                    tracing::warn!(server = %server_id, room, %error, "a server's tools are left out");
                    skipped.push(Skipped { server_id, error });
                }
            }
        }
        Federated { registry: FederatedToolRegistry::merge(found), skipped }
    }

    async fn ask(&self, server: &ServerId, room: &str) -> Result<ToolRegistry, ToolError> {
        // Begun within the guard: a resolver may break down before it gives a future.
        let asking = AssertUnwindSafe(async { self.resolver.tools(server, room).await }).catch_unwind();
        match timeout(self.server_timeout, asking).await {
            Ok(Ok(tools)) => tools,
            Ok(Err(_panic)) => Err(ToolError::Panicked),
            Err(_elapsed) => Err(ToolError::TimedOut(self.server_timeout)),
        }
    }
}

#[async_trait]
impl ToolResolver for FederatedToolRegistryResolver {
    /// Never fails: without any server there are no tools.
    async fn tools(&self, room: &str) -> Result<ToolRegistry, ToolError> {
        Ok(self.resolve(room).await.registry.to_tool_registry())
    }
}

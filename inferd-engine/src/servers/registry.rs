//! The servers there are.
//!
//! Invariants:
//! - One server an id; adding another overwrites nothing.
//! - An addition has a number and a token of its own. Removing the server cancels the token: whatever runs on a server
//!   ends with it, and nothing of it passes to a server that is added under its id later.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::connection::ServerConnection;
use super::error::RuntimeError;
use super::id::ServerId;
use crate::tools::{ServerScopedToolResolver, ToolError, ToolRegistry};

/// See the module. Clones are handles to one.
#[derive(Debug, Clone, Default)]
pub struct ServerRegistry(Arc<Mutex<Servers>>);

#[derive(Debug, Default)]
struct Servers {
    by_id: BTreeMap<ServerId, Registered>,
    /// How many were added so far.
    additions: u64,
}

/// One addition of a server.
#[derive(Debug, Clone)]
pub(super) struct Registered {
    pub(super) connection: ServerConnection,
    /// No other addition has it.
    pub(super) number: u64,
    /// Cancelled when it is removed.
    pub(super) removed: CancellationToken,
}

impl ServerRegistry {
    /// One without servers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a server.
    ///
    /// # Errors
    /// [`RuntimeError::DuplicateServer`] where there is one of its id; that one stays.
    pub fn add(&self, connection: ServerConnection) -> Result<(), RuntimeError> {
        let mut servers = self.lock();
        let server_id = connection.server_id.clone();
        if servers.by_id.contains_key(&server_id) {
            return Err(RuntimeError::DuplicateServer(server_id));
        }
        servers.additions += 1;
        let number = servers.additions;
        servers.by_id.insert(server_id, Registered { connection, number, removed: CancellationToken::new() });
        Ok(())
    }

    /// Removes a server, if there is one of this id, and ends the sessions on it.
    #[expect(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn remove(&self, server_id: &str) -> Option<ServerConnection> {
        let removed = self.lock().by_id.remove(server_id)?;
        // Wakes sessions, so after the lock is let go.
        removed.removed.cancel();
        Some(removed.connection)
    }

    /// The server of this id.
    #[must_use]
    pub fn get(&self, server_id: &str) -> Option<ServerConnection> {
        self.lock().by_id.get(server_id).map(|registered| registered.connection.clone())
    }

    /// The server of this id, which is expected to be there.
    ///
    /// # Errors
    /// [`RuntimeError::UnknownServer`].
    pub fn require(&self, server_id: &str) -> Result<ServerConnection, RuntimeError> {
        self.get(server_id).ok_or_else(|| RuntimeError::UnknownServer(server_id.to_owned()))
    }

    /// All ids, sorted.
    #[must_use]
    pub fn server_ids(&self) -> Vec<ServerId> {
        self.lock().by_id.keys().cloned().collect()
    }

    /// All servers, sorted by id.
    #[must_use]
    pub fn connections(&self) -> Vec<ServerConnection> {
        self.lock().by_id.values().map(|registered| registered.connection.clone()).collect()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().by_id.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().by_id.is_empty()
    }

    /// The present addition of this id.
    pub(super) fn registered(&self, server_id: &str) -> Result<Registered, RuntimeError> {
        let registered = self.lock().by_id.get(server_id).cloned();
        registered.ok_or_else(|| RuntimeError::UnknownServer(server_id.to_owned()))
    }

    fn lock(&self) -> MutexGuard<'_, Servers> {
        // No code that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ServerScopedToolResolver for ServerRegistry {
    /// Asks the server itself.
    async fn tools(&self, server: &str, room: &str) -> Result<ToolRegistry, ToolError> {
        let connection = self.require(server).map_err(|error| ToolError::Unavailable(error.to_string()))?;
        connection.api.tools(room).await.map_err(|error| ToolError::Unavailable(error.to_string()))
    }
}

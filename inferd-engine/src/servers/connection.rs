//! A server, and how to reach it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::api::{RunStream, ServerApi};
use super::error::RuntimeError;
use super::id::ServerId;

/// See the module. Immutable; equal where the id is, whatever stands behind it. Clones share what they hold, and
/// dropping them closes nothing that somebody else holds.
#[derive(Clone)]
pub struct ServerConnection {
    /// Its id.
    pub server_id: ServerId,
    /// Its rooms, threads and tools.
    pub api: Arc<dyn ServerApi>,
    /// What generates for it.
    pub runs: Arc<dyn RunStream>,
}

impl ServerConnection {
    /// The server of this id.
    ///
    /// # Errors
    /// [`RuntimeError::InvalidServerId`].
    pub fn new(
        server_id: impl AsRef<str>,
        api: Arc<dyn ServerApi>,
        runs: Arc<dyn RunStream>,
    ) -> Result<Self, RuntimeError> {
        Ok(Self { server_id: ServerId::new(server_id)?, api, runs })
    }
}

impl PartialEq for ServerConnection {
    fn eq(&self, other: &Self) -> bool {
        self.server_id == other.server_id
    }
}

impl Eq for ServerConnection {}

impl Hash for ServerConnection {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.server_id.hash(state);
    }
}

impl fmt::Display for ServerConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server {}", self.server_id)
    }
}

impl fmt::Debug for ServerConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConnection").field("server_id", &self.server_id).finish_non_exhaustive()
    }
}

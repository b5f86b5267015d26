//! What the operator wants: the text of a file, flags and environment enter; a [`Config`] the daemon can run leaves.
//!
//! Flags beat environment beats file beats defaults. The daemon's own state is no concern here, and no key or other
//! secret is read: only where it is to be found (see [`crate::secrets`]).
//!
//! Invariants:
//! - A [`Config`] that was read can run: names are unique, limits are in range, TCP beyond loopback has a key.
//! - What this version does not serve is refused, never skipped.
//! - A bad file is refused whole, with line, section and key.

mod backend;
mod describe;
mod engine;
mod error;
mod file;
mod overrides;
mod read;
mod rooms;
mod section;
mod servers;
mod shape;
mod source;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use backend::BackendConfig;
pub use engine::{
    DaemonAddress, DaemonConfig, EngineConfig, HttpConfig, HttpKind, Priorities, Share, Timeouts,
};
pub use error::{ConfigError, Hint, Place};
pub use overrides::Overrides;
pub use rooms::RoomConfig;
pub(crate) use section::line_of;
pub use servers::{OWN_SERVER_ID, Reach, ServerConfig};
pub use source::Source;

use crate::lifecycle::Identity;
use crate::router::BreakerConfig;

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file it was read from; `None`: there was none.
    pub file: Option<PathBuf>,
    /// How long running and queued requests may go on once the daemon is told to stop.
    pub drain_timeout: Duration,
    /// Where requests are taken.
    pub listen: ListenConfig,
    /// How much one client may ask for.
    pub limits: LimitsConfig,
    /// Where MCP clients are taken.
    pub mcp: McpConfig,
    /// How many requests run and wait.
    pub admission: AdmissionConfig,
    /// When a lane is left alone.
    pub breaker: BreakerConfig,
    /// What is remembered over a restart.
    pub state: StateConfig,
    /// What generates, in the order of the file. Empty: whatever model server answers on loopback, else the mock.
    pub backends: Vec<BackendConfig>,
    /// Upstream servers whose tools are offered, in the order of the file.
    pub servers: Vec<ServerConfig>,
    /// Profiles for the turns of agents.
    pub rooms: Vec<RoomConfig>,
}

/// Where requests are taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListenConfig {
    /// The local socket or pipe; `None`: the user's own (see [`crate::paths::Paths`]).
    pub local: Option<PathBuf>,
    /// The group that may connect too.
    pub group: Option<String>,
    /// The TCP address, if any.
    pub tcp: Option<SocketAddr>,
    /// Where the keys are that TCP clients present.
    pub keys: Option<KeySource>,
}

/// Where a key is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// In this environment variable.
    Variable(String),
    /// In this file.
    File(PathBuf),
}

impl KeySource {
    fn path_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::Variable(_) => None,
            Self::File(path) => Some(path),
        }
    }
}

/// Where MCP clients are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpConfig {
    /// The TCP address, if any.
    pub listen: Option<SocketAddr>,
    /// Web pages that may come beside those of this machine; their hosts are names of this server.
    pub allowed_origins: Vec<String>,
    /// Where the keys are that MCP clients present.
    pub keys: Option<KeySource>,
    /// Whether sessions outlive the daemon.
    pub persist: bool,
    /// Whether clients that can lend their models are asked on their standalone stream, without having offered to.
    pub standalone: bool,
}

impl Default for McpConfig {
    fn default() -> Self {
        Self { listen: None, allowed_origins: Vec::new(), keys: None, persist: true, standalone: true }
    }
}

impl McpConfig {
    /// Where MCP clients are taken unless something else is said.
    pub const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 47324);
}

/// How much one client may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsConfig {
    /// The longest line taken, in bytes.
    pub frame_bytes_max: usize,
    /// Connections at a time.
    pub connections_max: usize,
    /// Requests open at a time on one connection.
    pub open_requests_max: usize,
    /// How long a connection without an open request is kept.
    pub idle_timeout: Duration,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            frame_bytes_max: inferd_proto::MAX_FRAME_BYTES,
            connections_max: 1024,
            open_requests_max: 256,
            idle_timeout: Duration::from_secs(600),
        }
    }
}

/// How many requests run and wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmissionConfig {
    /// Requests running at a time, at least 1.
    pub active: usize,
    /// Requests waiting at a time.
    pub queue_depth: usize,
    /// Places one client keeps when others find the queue full; `None`: half of `queue_depth`.
    pub per_client_queue: Option<usize>,
    /// How long a request waits before it rises a band.
    pub ageing: Duration,
    /// What counts as one client on a local socket.
    pub client: Identity,
}

impl AdmissionConfig {
    /// Places one client keeps when others find the queue full, at least 1.
    #[must_use]
    pub fn per_client_queue(&self) -> usize {
        self.per_client_queue.unwrap_or(self.queue_depth / 2).max(1)
    }
}

impl Default for AdmissionConfig {
    fn default() -> Self {
        Self {
            active: 4,
            queue_depth: 64,
            per_client_queue: None,
            ageing: Duration::from_secs(30),
            client: Identity::Process,
        }
    }
}

/// What is remembered over a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateConfig {
    /// The database; `None`: the user's own (see [`crate::paths::Paths`]).
    pub path: Option<PathBuf>,
    /// Days that audit rows are kept; 0: none are written.
    pub audit_days: u32,
}

impl Default for StateConfig {
    fn default() -> Self {
        Self { path: None, audit_days: 30 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            file: None,
            drain_timeout: Duration::from_secs(30),
            listen: ListenConfig::default(),
            limits: LimitsConfig::default(),
            mcp: McpConfig::default(),
            admission: AdmissionConfig::default(),
            breaker: BreakerConfig::default(),
            state: StateConfig::default(),
            backends: Vec::new(),
            servers: Vec::new(),
            rooms: Vec::new(),
        }
    }
}

impl Config {
    /// Reads the file at `path`, else the one `INFERD_CONFIG` names, else the one in the user's configuration
    /// directory, which need not exist. Relative paths in a file start at its directory.
    ///
    /// # Errors
    /// [`ConfigError`] when the file is not there though it was named, cannot be read, or says what cannot run.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        file::load(path, |name| std::env::var_os(name))
    }

    /// Reads the text of a file. Relative paths are left as they are.
    ///
    /// # Errors
    /// [`ConfigError`] when the text is not TOML or says what cannot run.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        read::config(text)
    }

    /// This configuration with what flags and environment say in place of what the file says.
    ///
    /// # Errors
    /// [`ConfigError::Flag`] when the two together cannot run.
    pub fn apply(self, overrides: &Overrides) -> Result<Self, ConfigError> {
        overrides.onto(self)
    }

    /// This configuration for a daemon that listens already, as `now` says: where it listens stays as it is until a
    /// restart, whatever is said here.
    ///
    /// # Errors
    /// [`ConfigError`] where what is said here would not do there.
    pub(crate) fn listening_as(mut self, now: &Self) -> Result<Self, ConfigError> {
        let ListenConfig { local, group, tcp, keys: _ } = now.listen.clone();
        self.listen = ListenConfig { local, group, tcp, ..self.listen };
        self.mcp.listen = now.mcp.listen;
        if let (Some(tcp), Err(_)) = (tcp, self.listen.check_exposure()) {
            return Err(ConfigError::StillExposed { key: "[listen] tcp", addr: tcp });
        }
        if let (Some(addr), Err(_)) = (self.mcp.listen, self.mcp.check_exposure()) {
            return Err(ConfigError::StillExposed { key: "[mcp] listen", addr });
        }
        self.check_loops()?;
        Ok(self)
    }

    /// Refuses a backend or server that is this daemon itself, where it listens being known in full.
    pub(crate) fn check_loops(&self) -> Result<(), ConfigError> {
        for backend in &self.backends {
            if let Some(key) = backend.engine.leads_to(&self.listen) {
                return Err(ConfigError::Loop { what: "backend", name: backend.name.clone(), key });
            }
        }
        for server in &self.servers {
            if let Some(key) = server.leads_to(self.listen.tcp, self.mcp.listen) {
                return Err(ConfigError::Loop { what: "server", name: server.id.clone(), key });
            }
        }
        Ok(())
    }

    /// What would run, as a configuration file with every default written out. Holds no secret.
    #[must_use]
    pub fn describe(&self) -> String {
        describe::describe(self)
    }

    /// Every setting but those of backends, servers and rooms: where it stands (`[section] key`), and its value as TOML. Holds no secret.
    pub(crate) fn settings(&self) -> BTreeMap<String, String> {
        describe::settings(self)
    }
}

#[cfg(test)]
mod tests;

//! The daemon as a whole: started in order, changed while it runs, stopped in order.
//!
//! A place to read a configuration from enters; a running [`Daemon`] leaves. The binary and programs that hold a daemon
//! inside themselves use the same two steps.
//!
//! Invariants:
//! - The inference socket does not exist before there is something to serve it.
//! - A reload is whole or not at all, and no request notices either.
//! - Stopping ends every task; what is still open after the drain gets its terminal frame first.

mod live;
mod plan;
mod reloader;
mod starting;
mod supervisor;
mod wanted;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::backends::BackendError;
use crate::config::ConfigError;
use crate::endpoint::BindError;
use crate::lock::LockError;
use crate::paths::PathsError;
use crate::secrets::SecretError;

pub use crate::admin::Sockets;
pub use reloader::{ReloadError, Reloader};
pub use starting::start;

/// Why a daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
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

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    drain: CancellationToken,
    reloader: Reloader,
    supervisor: JoinHandle<()>,
    sockets: Sockets,
    engines: Engines,
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

    /// Makes it read its configuration again.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
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

    /// Where its backends came from when it started.
    #[must_use]
    pub fn engines(&self) -> Engines {
        self.engines
    }
}

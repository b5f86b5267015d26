//! The daemon of this user: where it is found, and how one is started inside this process.

use std::path::PathBuf;

use inferd_daemon::config::{Config, Source};
use inferd_daemon::lock::LockError;
use inferd_daemon::paths::Paths;
use inferd_daemon::process::{self, Daemon, Engines, StartError};

use crate::client::Address;
use crate::exit::Exit;

/// Where this user's daemon lives, running or not.
pub(crate) struct Home {
    /// The configuration named on the command line.
    file: Option<PathBuf>,
    paths: Paths,
}

/// A daemon inside this process.
pub(crate) struct Embedded(Daemon);

/// None could be started.
#[derive(Debug, thiserror::Error)]
#[error("no daemon is running and none can be started")]
pub(crate) struct EmbeddedError(#[from] StartError);

impl EmbeddedError {
    /// Whether another process is, or is becoming, the daemon.
    pub(crate) fn is_held(&self) -> bool {
        matches!(self.0, StartError::Lock(LockError::AlreadyHeld(_)))
    }

    pub(crate) fn exit(&self) -> Exit {
        match self.0 {
            StartError::Config(_) => Exit::Usage,
            _ => Exit::CannotConnect,
        }
    }
}

impl Home {
    /// This user's, with the socket where the configuration (`file`, or the one found as the daemon finds it) puts it.
    pub(crate) fn of_user(file: Option<PathBuf>) -> Self {
        // A configuration that cannot be read matters to whoever starts a daemon, and is reported then.
        let config = Config::load(file.as_deref()).unwrap_or_default();
        let paths = Paths::of_user()
            .with_local(config.listen.local.as_deref())
            .with_state(config.state.path.as_deref());
        Self { file, paths }
    }

    /// Where requests are taken.
    pub(crate) fn address(&self) -> Address {
        Address::Local(self.paths.local.clone())
    }

    /// What the daemon remembers.
    pub(crate) fn state(&self) -> PathBuf {
        self.paths.state.clone()
    }

    /// The admin socket.
    pub(crate) fn admin(&self) -> PathBuf {
        self.paths.admin.clone()
    }

    /// Starts a daemon here; it serves when this returns.
    pub(crate) async fn start(&self) -> Result<Embedded, EmbeddedError> {
        Ok(Embedded(process::start(Source::of_file(self.file.clone())).await?))
    }
}

impl Embedded {
    /// Whether it found no model server and answers with the mock.
    pub(crate) fn is_mock(&self) -> bool {
        self.0.engines() == Engines::Mock
    }

    /// Stops it, when everything open is answered.
    pub(crate) async fn stop(self) {
        self.0.drain();
        self.0.stopped().await;
    }
}

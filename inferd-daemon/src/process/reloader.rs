//! Asking a daemon to read its configuration again. Asks enter; what came of each, in words, leaves.
//!
//! Invariants:
//! - Every ask is answered; once the daemon drains, with a refusal.

use std::convert::Infallible;
use std::error::Error;
use std::path::PathBuf;

use inferd_proto::{ErrorCode, Reloaded};
use tokio::sync::{mpsc, oneshot};

use crate::backends::BackendError;
use crate::config::ConfigError;
use crate::secrets::SecretError;
use crate::signals::Reloads;

/// Why a configuration was not taken. The one before it stays in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The daemon stops.
    #[error("draining")]
    Draining,
    /// The file there was is not there.
    #[error("cannot read {}: it was there when it was last read", .0.display())]
    Gone(PathBuf),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A key is not where it should be.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A backend cannot be made.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl ReloadError {
    /// What it is on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Draining => ErrorCode::BackendUnavailable,
            Self::Gone(_) | Self::Config(_) | Self::Secret(_) | Self::Backend(_) => ErrorCode::InvalidRequest,
        }
    }

    /// The whole of it in one line, causes included.
    #[must_use]
    pub fn reason(&self) -> String {
        let mut reason = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            reason.push_str(": ");
            reason.push_str(&error.to_string());
            cause = error.source();
        }
        reason
    }
}

/// Who wants a reload, and hears what came of it.
pub(super) type Ask = oneshot::Sender<Result<Reloaded, ReloadError>>;

/// Asks that may wait while one is carried out; whoever comes then waits to ask.
const ASKS_MAX: usize = 16;

/// Makes a daemon read its configuration again. Clones are of the same daemon.
#[derive(Debug, Clone)]
pub struct Reloader(mpsc::Sender<Ask>);

impl Reloader {
    pub(super) fn new() -> (Self, mpsc::Receiver<Ask>) {
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        (Self(asks), asked)
    }

    /// One of a daemon that has ended.
    #[cfg(test)]
    pub(crate) fn ended() -> Self {
        Self::new().0
    }

    /// Reads the configuration again and goes by it. A daemon that is still starting does so once it serves. What came of
    /// it is logged, too.
    ///
    /// # Errors
    /// [`ReloadError`]: nothing was changed.
    pub async fn reload(&self) -> Result<Reloaded, ReloadError> {
        let (ask, told) = oneshot::channel();
        // Both fail only where the supervisor has ended, which it does by draining.
        let reloaded = match self.0.send(ask).await {
            Ok(()) => told.await.unwrap_or(Err(ReloadError::Draining)),
            Err(_) => Err(ReloadError::Draining),
        };
        match &reloaded {
            Ok(reloaded) => log(reloaded),
            Err(error) => {
                tracing::error!(error = error.reason(), "cannot reload: the configuration stays as it was");
            }
        }
        reloaded
    }

    /// Reloads at every signal.
    pub async fn heed(&self, mut signals: Reloads) -> Infallible {
        loop {
            signals.next().await;
            // It is in the log, and a signal has no answer.
            self.reload().await.ok();
        }
    }
}

fn log(reloaded: &Reloaded) {
    let Reloaded { kept, adjusted, rebuilt, added, removed, settings, needs_restart } = reloaded;
    tracing::info!(?kept, ?adjusted, ?rebuilt, ?added, ?removed, ?settings, "reloaded");
    for setting in needs_restart {
        tracing::warn!(setting, "this setting has changed and waits for a restart");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_reason_holds_every_cause_in_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("inferd.toml");
        std::fs::write(&file, "[admission]\nactiv = 1").unwrap();
        let reason = ReloadError::from(Config::load(Some(&file)).unwrap_err()).reason();
        let reason = reason.replace(&dir.path().display().to_string(), "DIR");
        insta::assert_snapshot!(reason, @"cannot use DIR/inferd.toml: line 2: [admission] activ: unknown key, did you mean `active`?");
    }
}

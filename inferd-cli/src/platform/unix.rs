//! Linux, macOS and their like.

use std::fs::DirBuilder;
use std::io::{self, stdin};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};

/// How the terminal was set when it was looked at.
pub(crate) struct TerminalState(Termios);

impl TerminalState {
    /// That of standard input.
    pub(crate) fn of_stdin() -> io::Result<Self> {
        Ok(Self(tcgetattr(stdin())?))
    }

    /// Sets standard input as it was.
    pub(crate) fn restore(&self) -> io::Result<()> {
        Ok(tcsetattr(stdin(), OptionalActions::Now, &self.0)?)
    }
}

/// Resolves at the next SIGTERM, which from the first poll on ends nothing by itself; never where it cannot be
/// listened for.
pub(crate) async fn terminated() {
    let heard = match signal(SignalKind::terminate()) {
        Ok(mut signal) => signal.recv().await.is_some(),
        Err(_) => false,
    };
    if !heard {
        std::future::pending::<()>().await;
    }
}

/// Makes `path` and what leads there, for nobody else to read.
pub(crate) fn make_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).recursive(true).create(path)
}

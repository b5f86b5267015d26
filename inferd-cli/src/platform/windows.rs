//! Windows: no signal asks a program to end, and directories belong to their user.

use std::io;
use std::path::Path;

/// The console is set anew by whoever uses it next.
pub(crate) struct TerminalState;

impl TerminalState {
    #[expect(clippy::unnecessary_wraps, reason = "other platforms can fail")]
    pub(crate) fn of_stdin() -> io::Result<Self> {
        Ok(Self)
    }

    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "other platforms have something to do")]
    pub(crate) fn restore(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Never resolves: nothing here asks for it.
pub(crate) async fn terminated() {
    std::future::pending::<()>().await;
}

/// Makes `path` and what leads there; it is its user's own as everything under the profile is.
pub(crate) fn make_private_dir(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

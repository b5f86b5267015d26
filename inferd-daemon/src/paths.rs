//! Where a user's daemon is found: the environment enters, the paths of its sockets and lock leave.
//!
//! Programs find the daemon by the same rules, so they hold for both sides: change none of them alone.
//!
//! Invariants:
//! - The runtime directory belongs to this user, is no link, and nobody else can write to it.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::platform::directory;

/// Where a user's daemon is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The directory of the rest; on Windows, of the lock alone.
    pub runtime_dir: PathBuf,
    /// Where requests are taken.
    pub local: PathBuf,
    /// Where the daemon says how it is.
    pub admin: PathBuf,
    /// Held by the one daemon there is.
    pub lock: PathBuf,
    /// What the daemon remembers over a restart.
    pub state: PathBuf,
    /// Whether the directory is one of our choosing, and so ours to tighten.
    own_dir: bool,
}

/// The file of what a daemon remembers.
const STATE: &str = "state.db";

/// A runtime directory that is not safe to use.
#[derive(Debug, thiserror::Error)]
pub enum PathsError {
    /// A symbolic link is in its place.
    #[error("{} is a symbolic link, expected a directory", .0.display())]
    Symlink(PathBuf),
    /// Something else is in its place.
    #[error("{} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// It is another user's.
    #[error("{} belongs to another user", .0.display())]
    ForeignOwner(PathBuf),
    /// `INFERD_RUNTIME_DIR` names a directory that others may write to.
    #[error("others may write to {}", .0.display())]
    WritableByOthers(PathBuf),
    /// It cannot be made, looked at or tightened.
    #[error("cannot prepare {}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The systems that have rules of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum System {
    Unix,
    MacOs,
    Windows,
}

impl System {
    const HERE: Self = if cfg!(windows) {
        Self::Windows
    } else if cfg!(target_os = "macos") {
        Self::MacOs
    } else {
        Self::Unix
    };
}

impl Paths {
    /// Those of this user. `INFERD_RUNTIME_DIR` names the directory; otherwise it is `$XDG_RUNTIME_DIR/inferd`,
    /// else `~/.inferd/run`; on macOS `$TMPDIR/inferd`; else `/tmp/inferd-<uid>`. On Windows it is
    /// `%LOCALAPPDATA%\inferd`, and the sockets are pipes.
    ///
    /// State is kept in `$XDG_STATE_HOME/inferd`, else `~/.local/state/inferd`; on macOS in
    /// `~/Library/Application Support/inferd`. With `INFERD_RUNTIME_DIR`, on Windows, and without a home it is in the
    /// directory of the rest: a daemon that is set apart remembers apart.
    #[must_use]
    pub fn of_user() -> Self {
        Self::on(System::HERE, |name| std::env::var_os(name), directory::user())
    }

    /// Those of a daemon that lives in `dir`.
    #[must_use]
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        Self::under(System::HERE, dir.into(), false)
    }

    /// The directory of what a daemon remembers, where it is not that of the rest.
    fn state_dir(system: System, dir: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
        match system {
            System::Unix => dir("XDG_STATE_HOME")
                .or_else(|| dir("HOME").map(|home| home.join(".local/state")))
                .map(|dir| dir.join("inferd")),
            System::MacOs => dir("HOME").map(|home| home.join("Library/Application Support/inferd")),
            System::Windows => None,
        }
    }

    fn on(system: System, env: impl Fn(&str) -> Option<OsString>, user: u32) -> Self {
        let dir = |name: &str| env(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
        if let Some(dir) = dir("INFERD_RUNTIME_DIR") {
            return Self::under(system, dir, false);
        }
        let own = match system {
            System::Unix => dir("XDG_RUNTIME_DIR")
                .map(|dir| dir.join("inferd"))
                .or_else(|| dir("HOME").map(|home| home.join(".inferd/run"))),
            System::MacOs => dir("TMPDIR").map(|dir| dir.join("inferd")),
            System::Windows => Some(dir("LOCALAPPDATA").unwrap_or_else(std::env::temp_dir).join("inferd")),
        };
        let here = Self::under(system, own.unwrap_or_else(|| format!("/tmp/inferd-{user}").into()), true);
        match Self::state_dir(system, dir) {
            Some(dir) => Self { state: dir.join(STATE), ..here },
            None => here,
        }
    }

    fn under(system: System, runtime_dir: PathBuf, own_dir: bool) -> Self {
        let (local, admin) = match system {
            System::Windows => (r"\\.\pipe\inferd-infer".into(), r"\\.\pipe\inferd-admin".into()),
            System::Unix | System::MacOs => (runtime_dir.join("infer.sock"), runtime_dir.join("admin.sock")),
        };
        Self {
            local,
            admin,
            lock: runtime_dir.join("daemon.lock"),
            state: runtime_dir.join(STATE),
            runtime_dir,
            own_dir,
        }
    }

    /// These, with requests taken at `local` where the configuration names a place.
    #[must_use]
    pub fn with_local(self, local: Option<&Path>) -> Self {
        match local {
            Some(local) => Self { local: local.to_owned(), ..self },
            None => self,
        }
    }

    /// These, with the state kept at `state` where the configuration names a place.
    #[must_use]
    pub fn with_state(self, state: Option<&Path>) -> Self {
        match state {
            Some(state) => Self { state: state.to_owned(), ..self },
            None => self,
        }
    }

    /// Makes the runtime directory, for this user only. One of our own choosing that is there with wider permissions
    /// is tightened; one that `INFERD_RUNTIME_DIR` names may be read by others, and is left as it is.
    ///
    /// # Errors
    /// [`PathsError`] where something else is in its place, it is another user's, or others may write to it.
    pub fn prepare(&self) -> Result<(), PathsError> {
        let path = || self.runtime_dir.clone();
        let failed = |source| PathsError::Io { path: path(), source };
        directory::make_dir(&self.runtime_dir).map_err(failed)?;
        let found = self.runtime_dir.symlink_metadata().map_err(failed)?;
        if found.is_symlink() {
            return Err(PathsError::Symlink(path()));
        }
        if !found.is_dir() {
            return Err(PathsError::NotADirectory(path()));
        }
        if !directory::owns(&found) {
            return Err(PathsError::ForeignOwner(path()));
        }
        if self.own_dir {
            directory::tighten(&self.runtime_dir, &found).map_err(failed)
        } else if directory::others_write(&found) {
            Err(PathsError::WritableByOthers(path()))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;

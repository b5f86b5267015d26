//! One daemon per user: a path enters, a [`Lock`] that no other process can hold meanwhile leaves.
//!
//! The system releases the lock with the process, however it ends; the file stays and is harmless. It holds the
//! process id of its last holder, so that a second daemon can say who the first is.
//!
//! Invariants:
//! - Nothing but a regular file at exactly that path is opened, written or locked; links are not followed.
//! - The file is written only under the lock.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use fs4::{FileExt, TryLockError};

use crate::platform::lock_file;

/// Room for any process id and its line end.
const PID_BYTES_MAX: u64 = 16;

/// The lock. Dropping it lets another daemon start.
#[derive(Debug)]
#[must_use = "dropping the lock releases it"]
pub struct Lock {
    _file: File,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// A symbolic link is in the way; it is left alone.
    #[error("{} is a symbolic link, expected a regular file or nothing", .0.display())]
    Symlink(PathBuf),
    /// Something else is in the way; it is left alone.
    #[error("{} is not a regular file", .0.display())]
    NotARegularFile(PathBuf),
    /// Another process has it.
    #[error("another inferd-daemon is running: {0}")]
    AlreadyHeld(Holder),
    /// The system refused.
    #[error("cannot lock")]
    Io(#[from] io::Error),
}

/// Who has the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The lock's file.
    pub path: PathBuf,
    /// Its process, where the file says so.
    pub pid: Option<u32>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid} holds {}", self.path.display()),
            None => write!(f, "a process holds {}", self.path.display()),
        }
    }
}

impl Lock {
    /// Takes the lock at `path`, making the file where there is none. Does not wait.
    ///
    /// # Errors
    /// [`LockError`]: held by another, something else than a regular file at `path`, or refused by the system.
    pub fn acquire(path: impl AsRef<Path>) -> Result<Self, LockError> {
        let path = path.as_ref();
        match path.symlink_metadata() {
            Ok(found) if found.is_symlink() => return Err(LockError::Symlink(path.to_owned())),
            Ok(found) if !found.is_file() => return Err(LockError::NotARegularFile(path.to_owned())),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            Ok(_) | Err(_) => {}
        }
        let mut file = open(path)?;
        // What was looked at may not be what was opened.
        if !file.metadata()?.is_file() {
            return Err(LockError::NotARegularFile(path.to_owned()));
        }
        match FileExt::try_lock(&file) {
            Ok(()) => sign(&mut file)?,
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::AlreadyHeld(Holder { path: path.to_owned(), pid: holder(&mut file) }));
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        Ok(Self { _file: file })
    }
}

/// Opens or makes the file, for its owner only; fails on a link, does not wait on a pipe.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    lock_file::secure(&mut options);
    options.open(path)
}

/// Writes our process id over what is there, so that the file is at no time empty.
fn sign(file: &mut File) -> io::Result<()> {
    let pid = format!("{}\n", std::process::id());
    file.write_all(pid.as_bytes())?;
    file.set_len(pid.len() as u64)
}

/// The process id in the file. On Windows a locked file cannot be read, and nobody is named.
fn holder(file: &mut File) -> Option<u32> {
    let mut pid = String::new();
    file.take(PID_BYTES_MAX).read_to_string(&mut pid).ok()?;
    pid.trim().parse().ok()
}

#[cfg(test)]
mod tests;

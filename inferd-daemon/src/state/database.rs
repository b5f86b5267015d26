//! The file: how it is opened, and why it may not be.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{Settings, schema};
use crate::lock::{Lock, LockError};
use crate::platform::{directory, lock_file};

/// How long a reader that is in the way is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// The log beside the database is cut back to this size, in bytes.
const WAL_BYTES_MAX: u32 = 16 * 1024 * 1024;

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another daemon writes to it.
    #[error("another daemon keeps its state there")]
    Lock(#[from] LockError),
    /// The file or its directory cannot be made.
    #[error("cannot make it")]
    Io(#[from] io::Error),
    /// The database says no.
    #[error("{0}")]
    Database(#[from] rusqlite::Error),
    /// A newer daemon has written it.
    #[error("it is of version {found}, and this daemon knows {known}")]
    Newer {
        /// The version it is of.
        found: usize,
        /// The last one known here.
        known: usize,
    },
}

/// A database that is ours to write to.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) connection: Connection,
    /// Released after the database is closed.
    _lock: Lock,
}

impl Database {
    /// Opens the database, making it where there is none.
    pub(super) fn open(settings: &Settings) -> Result<Self, StateError> {
        if let Some(dir) = settings.dir() {
            directory::make_dir(dir)?;
        }
        let lock = Lock::acquire(settings.lock())?;
        // Made by us, for its owner only; the files beside it get the same permissions.
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        lock_file::secure(&mut options);
        drop(options.open(&settings.path)?);

        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut connection = Connection::open_with_flags(&settings.path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        // What a crash of the system may cost is the last rows, never the file.
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "journal_size_limit", WAL_BYTES_MAX)?;
        connection.pragma_update(None, "max_page_count", settings.pages_max)?;
        schema::migrate(&mut connection)?;
        Ok(Self { connection, _lock: lock })
    }
}

/// Opens the database at `path` to look at it, whether a daemon writes to it or not.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn open_read_only(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

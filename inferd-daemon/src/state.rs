//! What a daemon remembers: rows and questions enter, one thread keeps them in a database, and nobody waits for a disk
//! who does not ask to.
//!
//! ```text
//! note ─▶ bounded queue ─▶ one thread, a transaction every 100 ms ─▶ SQLite, in WAL
//! ```
//!
//! Invariants:
//! - Noting a row never blocks, however slow, full or broken the disk is: what does not fit is lost, and counted.
//! - A database that cannot be used is complained of once a minute, and tried again.
//! - One process writes: the others find the lock beside the database taken.
//! - What is on the disk is for its owner alone.

mod complaint;
mod database;
mod schema;
mod writer;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::audit::Row;
use writer::Writer;

pub use database::{StateError, open_read_only};

/// How long rows are gathered before they are written.
pub const BATCH_WINDOW: Duration = Duration::from_millis(100);

/// Questions that wait for the thread; further ones are told that it cannot be used.
const JOBS_MAX: usize = 1024;

/// Rows that wait for the thread; what comes beyond is lost.
const ROWS_MAX: usize = 64 * 1024;

/// So many rows are a batch, however short the time they came in.
const BATCH_ROWS: usize = ROWS_MAX / 16;

/// The database is never larger, in pages of 4 KiB: 4 GiB.
const PAGES_MAX: u32 = 1 << 20;

/// Where the state is kept, and for how long.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The database. Its lock stands beside it.
    pub path: PathBuf,
    /// Days that audit rows are kept.
    pub audit_days: u32,
    /// The most pages of 4 KiB there may be.
    pages_max: u32,
}

impl Settings {
    /// Keeps state at `path`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, audit_days: u32) -> Self {
        Self { path: path.into(), audit_days, pages_max: PAGES_MAX }
    }

    /// The file that is locked as long as a daemon writes.
    fn lock(&self) -> PathBuf {
        let mut lock = self.path.clone().into_os_string();
        lock.push(".lock");
        lock.into()
    }

    fn dir(&self) -> Option<&Path> {
        self.path.parent().filter(|dir| !dir.as_os_str().is_empty())
    }
}

/// The database, as everybody but its thread sees it. Copies are handles on the same one.
#[derive(Clone)]
pub struct State {
    shared: Arc<Shared>,
}

struct Shared {
    jobs: SyncSender<Job>,
    thread: Thread,
    tray: Arc<Tray>,
}

/// What lies ready for the thread beside its jobs.
#[derive(Default)]
struct Tray {
    rows: Mutex<Vec<Row>>,
    /// Rows that found no room.
    lost: AtomicU64,
    /// Somebody waits: the batch is closed now.
    urgent: AtomicBool,
}

impl Tray {
    /// Takes everything out, and leaves `rows`, which is empty, in its place.
    fn exchange(&self, rows: Vec<Row>) -> Vec<Row> {
        std::mem::replace(&mut *self.rows(), rows)
    }

    /// Rows are pushed and taken whole, so a poisoned lock is as good as any.
    fn rows(&self) -> MutexGuard<'_, Vec<Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something for the thread to do.
enum Job {
    /// Gather rows, and write them.
    Rows,
    Work(Work),
    Close(oneshot::Sender<()>),
}

/// What is done with the database, or `None` where there is none. What is wrong with it is told for the complaint.
type Work = Box<dyn FnOnce(Option<&mut Connection>) -> rusqlite::Result<()> + Send>;

/// The database cannot be used now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the state database cannot be used now")]
pub struct Unavailable;

impl State {
    /// Begins to keep state. The database is opened by its thread: one that cannot be is complained of, not an error here.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn open(settings: Settings) -> io::Result<Self> {
        let (jobs, queue) = sync_channel(JOBS_MAX);
        let tray = Arc::<Tray>::default();
        let writer = Writer::new(settings, queue, Arc::clone(&tray));
        let thread = thread::Builder::new().name("state".to_owned()).spawn(|| writer.run())?;
        Ok(Self { shared: Arc::new(Shared { jobs, thread: thread.thread().clone(), tray }) })
    }

    /// Has a row written with the next batch. Never waits for the database; a row that finds no room is lost and counted.
    pub fn note(&self, row: Row) {
        let Shared { jobs, tray, .. } = &*self.shared;
        let mut rows = tray.rows();
        if rows.len() >= ROWS_MAX {
            tray.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        rows.push(row);
        let waiting = rows.len();
        drop(rows);
        // Only the first row of a batch wakes the thread. If its queue is full it is awake.
        if waiting == 1 {
            jobs.try_send(Job::Rows).ok();
        }
        if waiting == BATCH_ROWS {
            self.hurry();
        }
    }

    /// Has `work` done with the database once everything noted before is written, and waits for what it comes to.
    ///
    /// # Errors
    /// [`Unavailable`]: there is no database now, it refused, or its queue is full.
    pub async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (answer, answered) = oneshot::channel();
        let job = Job::Work(Box::new(move |database| {
            let Some(database) = database else { return Ok(()) };
            // Whoever asked may have left.
            work(database).map(|done| answer.send(done).is_ok()).map(drop)
        }));
        self.shared.jobs.try_send(job).map_err(|_| Unavailable)?;
        self.hurry();
        answered.await.map_err(|_| Unavailable)
    }

    /// Writes what was noted and lets go of the database. Rows noted later are lost.
    pub async fn close(&self) {
        let (closed, done) = oneshot::channel();
        if self.shared.jobs.try_send(Job::Close(closed)).is_ok() {
            self.hurry();
            // An error means that the thread is gone: closed as well.
            done.await.ok();
        }
    }

    /// Closes the batch that is being gathered.
    fn hurry(&self) {
        self.shared.tray.urgent.store(true, Ordering::Release);
        self.shared.thread.unpark();
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

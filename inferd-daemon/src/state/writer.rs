//! The thread that has the database.
//!
//! Invariants:
//! - Rows of a batch are written in one transaction; a batch that fails is lost whole, and the next is tried.
//! - A database that cannot be opened, or turns out to be broken, is tried again once a minute.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::thread::park_timeout;
use std::time::Duration;

use rusqlite::ErrorCode;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::complaint::Complaint;
use super::database::{Database, StateError};
use super::{BATCH_WINDOW, JOBS_MAX, Job, Settings, Tray, Work};
use crate::audit::{self, Row};

/// Between two attempts to open a database that could not be.
const RETRY_EVERY: Duration = Duration::from_secs(60);

/// Rows whose room is kept while few come.
const SPARE_ROWS: usize = 256;

/// Between two looks for rows that are too old.
const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);

pub(super) struct Writer {
    settings: Settings,
    queue: Receiver<Job>,
    tray: Arc<Tray>,
    /// Room for the rows that come while others are written.
    spare: Vec<Row>,
    database: Option<Database>,
    /// When opening is tried next.
    retry_at: Instant,
    prune_at: Instant,
    complaint: Complaint,
}

impl Writer {
    pub(super) fn new(settings: Settings, queue: Receiver<Job>, tray: Arc<Tray>) -> Self {
        let now = Instant::now();
        let complaint = Complaint::default();
        let spare = Vec::new();
        Self { settings, queue, tray, spare, database: None, retry_at: now, prune_at: now, complaint }
    }

    /// Lives until it is told to close, or nobody is left to tell.
    pub(super) fn run(mut self) {
        self.ensure_open();
        while let Ok(first) = self.queue.recv() {
            self.gather();
            if let Some(closed) = self.write(first) {
                // Closed before it is said: whoever hears it can open the database.
                self.database = None;
                // Who asked may have left.
                closed.send(()).ok();
                return;
            }
        }
    }

    /// Lets more come, unless somebody waits. Meanwhile nobody who notes a row has a thread to wake.
    fn gather(&self) {
        let until = Instant::now() + BATCH_WINDOW;
        while !self.tray.urgent.swap(false, Ordering::Acquire) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            park_timeout(left);
        }
    }

    /// Does `first` and what came after it. Who is to be told that this was the end, if it was.
    fn write(&mut self, first: Job) -> Option<oneshot::Sender<()>> {
        let queue: Vec<_> = std::iter::once(first).chain(self.queue.try_iter().take(JOBS_MAX)).collect();
        let mut close = None;
        for job in queue {
            // Whoever asks sees what was noted before.
            self.write_rows();
            match job {
                Job::Rows => {}
                Job::Work(work) => self.work(work),
                Job::Close(closed) => close = Some(closed),
            }
        }
        self.prune();
        close
    }

    fn write_rows(&mut self) {
        let lost = self.tray.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            self.complain(lost, &"more came at once than can be written");
        }
        let mut rows = self.tray.exchange(std::mem::take(&mut self.spare));
        let count = rows.len();
        if count > 0 {
            self.write_batch(&rows);
        }
        rows.clear();
        // What was needed once is not kept for ever.
        if count < SPARE_ROWS {
            rows.shrink_to(SPARE_ROWS);
        }
        self.spare = rows;
    }

    fn write_batch(&mut self, rows: &[Row]) {
        let count = rows.len() as u64;
        let Some(database) = self.ensure_open() else { return self.complain(count, &"it is not open") };
        if let Err(error) = audit::write(&mut database.connection, rows) {
            self.failed(count, &error);
        }
    }

    fn work(&mut self, work: Work) {
        let database = self.ensure_open().map(|database| &mut database.connection);
        if let Err(error) = work(database) {
            self.failed(0, &error);
        }
    }

    fn prune(&mut self) {
        let now = Instant::now();
        if now < self.prune_at {
            return;
        }
        self.prune_at = now + PRUNE_EVERY;
        let days = self.settings.audit_days;
        let Some(database) = self.ensure_open() else { return };
        if let Err(error) = audit::prune(&mut database.connection, days) {
            self.failed(0, &error);
        }
    }

    /// The database, opened if it is time to try.
    fn ensure_open(&mut self) -> Option<&mut Database> {
        let now = Instant::now();
        if self.database.is_none() && now >= self.retry_at {
            self.retry_at = now + RETRY_EVERY;
            match Database::open(&self.settings) {
                Ok(database) => self.database = Some(database),
                Err(error) => self.complain(0, &Causes(&error)),
            }
        }
        self.database.as_mut()
    }

    /// A batch is lost. A file that is no database any more is opened anew later.
    fn failed(&mut self, lost: u64, error: &rusqlite::Error) {
        if matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::SystemIoFailure)
        ) {
            self.database = None;
            self.retry_at = Instant::now() + RETRY_EVERY;
        }
        self.complain(lost, error);
    }

    fn complain(&mut self, lost: u64, reason: &dyn std::fmt::Display) {
        if let Some(lost) = self.complaint.count(lost, Instant::now()) {
            let path = self.settings.path.display();
            tracing::warn!(%path, rows_lost = lost, %reason, "state is not being kept");
        }
    }
}

/// An error and what caused it, on one line.
struct Causes<'a>(&'a StateError);

impl std::fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)?;
        match self.0 {
            StateError::Lock(error) => write!(f, ": {error}"),
            StateError::Io(error) => write!(f, ": {error}"),
            StateError::Database(_) | StateError::Newer { .. } => Ok(()),
        }
    }
}

//! Sessions are written behind: what changes is marked, gathered for a moment, and kept by a [`Shelf`].
//!
//! Invariants:
//! - Publishing waits for no shelf: it sets a mark.
//! - What waits to be written is what the sessions themselves hold, and no more.
//! - What could not be kept stays marked and is tried again.

mod database;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::id::{Principal, SessionId};
use super::limits::{ABSOLUTE, INACTIVITY, SESSIONS_MAX};
use super::shelf::{Changes, Known, Saved, Shelf, ShelfError};
use super::state::SessionState;
use crate::audit::millis_since_1970;

/// How long changes are gathered.
const GATHER: Duration = Duration::from_millis(50);

/// How long a shelf that failed is left alone.
const RETRY: Duration = Duration::from_secs(5);

/// What is to be written, and what can be read back.
pub(super) struct Keeper {
    shelf: Box<dyn Shelf>,
    marks: Arc<Marks>,
    /// Sessions on the shelf that nobody has asked for since the daemon began.
    dormant: Mutex<HashMap<SessionId, Dormant>>,
    /// One writes at a time.
    writing: tokio::sync::Mutex<()>,
}

/// What is to be written.
#[derive(Debug, Default)]
pub(super) struct Marks {
    changed: Mutex<HashSet<SessionId>>,
    ended: Mutex<Vec<SessionId>>,
    news: Notify,
    failed: AtomicBool,
}

/// How a session says that it has changed.
#[derive(Debug)]
pub(super) struct Mark {
    id: SessionId,
    marks: Arc<Marks>,
    /// Whether it has said so already.
    set: AtomicBool,
    /// Whether the shelf has it.
    kept: AtomicBool,
    /// Whether it is over.
    over: AtomicBool,
}

#[derive(Debug)]
struct Dormant {
    principal: Principal,
    /// When it is over.
    until: Instant,
}

impl Mark {
    pub(super) fn set(&self) {
        if !self.set.swap(true, Ordering::AcqRel) {
            locked(&self.marks.changed).insert(self.id);
            self.marks.news.notify_one();
        }
    }

    /// The session is over. What the shelf has not got, it need not forget.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
        if self.kept.load(Ordering::SeqCst) {
            self.marks.end(self.id);
        }
    }

    fn was_kept(&self) {
        self.kept.store(true, Ordering::SeqCst);
        // It may have ended while it was written.
        if self.over.load(Ordering::SeqCst) {
            self.marks.end(self.id);
        }
    }
}

impl Marks {
    /// Waits until something is to be written, and a moment for more.
    pub(super) async fn gather(&self) {
        if self.failed.swap(false, Ordering::AcqRel) {
            sleep(RETRY).await;
        } else {
            self.news.notified().await;
        }
        sleep(GATHER).await;
    }

    /// What was to be written still is, but there is no hurry.
    pub(super) fn try_again_later(&self) {
        self.failed.store(true, Ordering::Release);
    }

    fn end(&self, id: SessionId) {
        locked(&self.ended).push(id);
        self.news.notify_one();
    }
}

impl Keeper {
    /// Looks what is on the shelf. One that cannot be read is as an empty one.
    pub(super) async fn open(shelf: Box<dyn Shelf>) -> Self {
        let (now, wall) = (Instant::now(), millis_since_1970(SystemTime::now()));
        let known = shelf.known().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "sessions from before cannot be read");
            Vec::new()
        });
        let marks = Arc::<Marks>::default();
        let mut dormant = HashMap::new();
        for (n, Known { id, principal, created_ms, touched_ms }) in known.into_iter().enumerate() {
            let left = remaining(ABSOLUTE, created_ms, wall).min(remaining(INACTIVITY, touched_ms, wall));
            if left.is_zero() || n >= SESSIONS_MAX {
                marks.end(id);
            } else {
                dormant.insert(id, Dormant { principal, until: now + left });
            }
        }
        Self { shelf, marks, dormant: Mutex::new(dormant), writing: tokio::sync::Mutex::default() }
    }

    /// The mark of a session; `kept`: it came from the shelf.
    pub(super) fn mark(&self, id: SessionId, kept: bool) -> Mark {
        Mark {
            id,
            marks: Arc::clone(&self.marks),
            set: AtomicBool::new(false),
            kept: AtomicBool::new(kept),
            over: AtomicBool::new(false),
        }
    }

    /// What is to be written.
    pub(super) fn marks(&self) -> Arc<Marks> {
        Arc::clone(&self.marks)
    }

    /// Whether the session is on the shelf and asleep.
    pub(super) fn is_dormant(&self, id: &SessionId) -> bool {
        locked(&self.dormant).contains_key(id)
    }

    /// Forgets a dormant session of `principal`. False: there is none.
    pub(super) fn delete(&self, id: &SessionId, principal: &Principal) -> bool {
        let mut dormant = locked(&self.dormant);
        let own = dormant.get(id).is_some_and(|session| session.principal == *principal);
        if own {
            dormant.remove(id);
            self.marks.end(*id);
        }
        own
    }

    /// Forgets the dormant sessions that are over at `now`.
    pub(super) fn sweep(&self, now: Instant) {
        locked(&self.dormant).retain(|id, session| {
            let over = now >= session.until;
            if over {
                self.marks.end(*id);
            }
            !over
        });
    }

    /// The dormant session `id` of `principal`, as the shelf has it.
    pub(super) async fn wake(&self, id: SessionId, principal: &Principal, now: Instant) -> Option<Saved> {
        let dormant = |keeper: &Self| {
            let dormant = locked(&keeper.dormant);
            dormant.get(&id).is_some_and(|session| session.principal == *principal && now < session.until)
        };
        if !dormant(self) {
            return None;
        }
        let saved = self.shelf.load(id).await;
        saved.inspect_err(|error| tracing::warn!(%error, "a session cannot be restored")).ok().flatten()
    }

    /// A dormant session is awake.
    pub(super) fn woken(&self, id: &SessionId) {
        locked(&self.dormant).remove(id);
    }

    /// Writes what is marked; `find` finds sessions that still live.
    pub(super) async fn write(
        &self,
        find: impl Fn(&SessionId) -> Option<Arc<SessionState>>,
    ) -> Result<(), ShelfError> {
        let _turn = self.writing.lock().await;
        let changed = std::mem::take(&mut *locked(&self.marks.changed));
        let ended = std::mem::take(&mut *locked(&self.marks.ended));
        let (now, wall) = (Instant::now(), millis_since_1970(SystemTime::now()));
        let sessions: Vec<_> = changed.iter().filter_map(|id| Some((*id, find(id)?))).collect();
        let changes: Vec<Changes> = sessions
            .iter()
            .map(|(id, session)| {
                // Lifted first: what changes from here on sets it again.
                session.mark().inspect(|mark| mark.set.store(false, Ordering::Release));
                session.changes(*id, now, wall)
            })
            .collect();
        if changes.is_empty() && ended.is_empty() {
            return Ok(());
        }
        // Should it not come to its end, everything is still to be written.
        let unwritten = Unwritten { marks: &self.marks, changed: &changed, ended: &ended };
        self.shelf.save(changes.clone(), ended.clone()).await?;
        std::mem::forget(unwritten);
        for ((_, session), changes) in sessions.iter().zip(&changes) {
            session.was_saved(changes);
            if let Some(mark) = session.mark() {
                mark.was_kept();
            }
        }
        Ok(())
    }
}

/// What was taken to be written, given back on drop.
struct Unwritten<'a> {
    marks: &'a Marks,
    changed: &'a HashSet<SessionId>,
    ended: &'a [SessionId],
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        locked(&self.marks.changed).extend(self.changed);
        locked(&self.marks.ended).extend(self.ended);
    }
}

/// What is left of `span` at `now_ms` since `then_ms`.
fn remaining(span: Duration, then_ms: i64, now_ms: i64) -> Duration {
    let past = u64::try_from(now_ms.saturating_sub(then_ms)).unwrap_or(0);
    span.saturating_sub(Duration::from_millis(past))
}

/// Nothing guarded here can be left half changed by a panic.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("marks", &self.marks).finish_non_exhaustive()
    }
}

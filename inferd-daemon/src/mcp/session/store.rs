//! All sessions of a daemon: principals enter, sessions leave, and end when they are over.
//!
//! Invariants:
//! - At most [`SESSIONS_MAX`], and [`SESSIONS_PER_PRINCIPAL_MAX`] of one principal. To make room the one that was idle for
//!   longest ends; one that is in use never does.
//! - Another principal's session is as one that is not there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::id::{Principal, SessionId};
use super::limits::{SESSIONS_MAX, SESSIONS_PER_PRINCIPAL_MAX, SWEEP};
use super::persist::Keeper;
use super::shelf::{Shelf, ShelfError};
use super::state::SessionState;
use crate::audit::millis_since_1970;

/// Sessions that are all in use: no room for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{sessions} sessions are in use")]
pub struct StoreFull {
    /// How many: the principal's own limit, or that of the daemon.
    pub sessions: usize,
    /// When it may be worth another try.
    pub retry_after: Duration,
}

/// All sessions. Copies are handles on the same ones.
#[derive(Debug, Clone)]
pub struct SessionStore {
    inner: Arc<Inner>,
}

/// A session that was asked for.
#[derive(Debug)]
pub struct Restored {
    /// The session.
    pub session: Arc<SessionState>,
    /// It was brought back by this very call.
    pub anew: bool,
}

#[derive(Debug)]
struct Inner {
    sessions: Mutex<Sessions>,
    /// Where sessions are kept over a restart, if they are.
    keeper: Option<Keeper>,
    gone: CancellationToken,
    /// Ends the sweeper with the last handle.
    _last_handle: DropGuard,
}

type Sessions = HashMap<SessionId, Arc<SessionState>>;

impl Default for SessionStore {
    fn default() -> Self {
        Self::kept_by(None)
    }
}

impl SessionStore {
    /// An empty one, whose sessions end with the process.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One whose sessions are kept on `shelf`; those that are there come back when they are asked for.
    pub async fn on_shelf(shelf: impl Shelf) -> Self {
        Self::kept_by(Some(Keeper::open(Box::new(shelf)).await))
    }

    fn kept_by(keeper: Option<Keeper>) -> Self {
        let gone = CancellationToken::new();
        let last_handle = gone.clone().drop_guard();
        Self {
            inner: Arc::new(Inner { sessions: Mutex::default(), keeper, gone, _last_handle: last_handle }),
        }
    }

    /// Takes in a session that begins at `now`, and gives it its id.
    ///
    /// # Errors
    /// [`StoreFull`]: there is no room, and no idle session that could make some.
    pub fn insert(&self, session: SessionState, now: Instant) -> Result<SessionId, StoreFull> {
        let mut sessions = self.sessions();
        make_room_for(&mut sessions, session.principal(), now)?;
        let id = SessionId::assign();
        if let Some(keeper) = &self.inner.keeper {
            session.keep(keeper.mark(id, false));
        }
        sessions.insert(id, Arc::new(session));
        Ok(id)
    }

    /// The session `id` of `principal`, which counts as used at `now`. `None`: there is none, it is over, or it is
    /// another's.
    #[must_use]
    pub fn get(&self, id: &SessionId, principal: &Principal, now: Instant) -> Option<Arc<SessionState>> {
        self.get_if(id, now, |session| session.principal() == principal)
    }

    /// The session `id` whoever's it is, for those who have asked for it as its principal before.
    #[must_use]
    pub fn find(&self, id: &SessionId, now: Instant) -> Option<Arc<SessionState>> {
        self.get_if(id, now, |_| true)
    }

    fn get_if(
        &self,
        id: &SessionId,
        now: Instant,
        may: impl Fn(&SessionState) -> bool,
    ) -> Option<Arc<SessionState>> {
        let mut sessions = self.sessions();
        let session = sessions.get(id).filter(|session| may(session)).map(Arc::clone)?;
        if session.is_expired(now) {
            remove(&mut sessions, id);
            return None;
        }
        session.touch(now);
        Some(session)
    }

    /// Ends the session `id` of `principal`. False: there is none, or it is another's.
    #[must_use = "whether there was such a session is what the client is told"]
    pub fn delete(&self, id: &SessionId, principal: &Principal) -> bool {
        let mut sessions = self.sessions();
        let own = sessions.get(id).is_some_and(|session| session.principal() == principal);
        let dormant = |keeper: &Keeper| keeper.delete(id, principal);
        (own && remove(&mut sessions, id)) || self.inner.keeper.as_ref().is_some_and(dormant)
    }

    /// The session `id` of `principal`, as [`SessionStore::get`], or brought back from the shelf. The calls of one that
    /// was brought back are gone: whoever brings it back ends [`SessionState::unfinished`].
    pub async fn restore(&self, id: &SessionId, principal: &Principal, now: Instant) -> Option<Restored> {
        if let Some(session) = self.get(id, principal, now) {
            return Some(Restored { session, anew: false });
        }
        let keeper = self.inner.keeper.as_ref()?;
        let saved = keeper.wake(*id, principal, now).await?;
        let session = SessionState::restore(saved, now, millis_since_1970(SystemTime::now()));
        let mut sessions = self.sessions();
        // Another request may have been faster.
        if let Some(session) = sessions.get(id).filter(|session| session.principal() == principal) {
            return Some(Restored { session: Arc::clone(session), anew: false });
        }
        if !keeper.is_dormant(id) || make_room_for(&mut sessions, principal, now).is_err() {
            return None;
        }
        session.touch(now);
        session.keep(keeper.mark(*id, true));
        keeper.woken(id);
        let session = Arc::new(session);
        sessions.insert(*id, Arc::clone(&session));
        Some(Restored { session, anew: true })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends the sessions that are over at `now`; how many.
    #[must_use]
    pub fn sweep_now(&self, now: Instant) -> usize {
        if let Some(keeper) = &self.inner.keeper {
            keeper.sweep(now);
        }
        let mut sessions = self.sessions();
        let over: Vec<_> =
            sessions.iter().filter(|(_, session)| session.is_expired(now)).map(|(id, _)| *id).collect();
        over.iter().filter(|id| remove(&mut sessions, id)).count()
    }

    /// Sweeps every [`SWEEP`], until the last handle is gone. It holds none itself: whoever makes the store has a tracker
    /// of theirs run this.
    pub fn sweeper(&self) -> impl Future<Output = ()> + Send + 'static {
        let (inner, gone) = (Arc::downgrade(&self.inner), self.inner.gone.clone());
        async move {
            while gone.run_until_cancelled(sleep(SWEEP)).await.is_some() {
                let Some(inner) = inner.upgrade() else { return };
                let swept = Self { inner }.sweep_now(Instant::now());
                tracing::debug!(swept, "sessions swept");
            }
        }
    }

    /// Has changes written behind, until the last handle is gone; nothing to do where sessions are kept nowhere. Whoever
    /// makes the store has a tracker of theirs run this.
    pub fn keeper(&self) -> impl Future<Output = ()> + Send + 'static {
        let (inner, gone) = (Arc::downgrade(&self.inner), self.inner.gone.clone());
        let marks = self.inner.keeper.as_ref().map(Keeper::marks);
        async move {
            let Some(marks) = marks else { return };
            while gone.run_until_cancelled(marks.gather()).await.is_some() {
                let Some(inner) = inner.upgrade() else { return };
                if (Self { inner }).save_now().await.is_err() {
                    marks.try_again_later();
                }
            }
        }
    }

    /// Writes what has changed.
    ///
    /// # Errors
    /// [`ShelfError`]: it stays to be written.
    pub async fn save_now(&self) -> Result<(), ShelfError> {
        let Some(keeper) = &self.inner.keeper else { return Ok(()) };
        keeper.write(|id| self.sessions().get(id).map(Arc::clone)).await
    }

    /// Ends the streams of all sessions: the daemon stops. Those that are kept come back with the next one.
    pub async fn close(&self) {
        if let Err(error) = self.save_now().await {
            tracing::warn!(%error, "the last words of sessions are lost");
        }
        self.sessions().drain().for_each(|(_, session)| session.end());
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.inner.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a session for good.
fn end(session: &SessionState) {
    session.end();
    if let Some(mark) = session.mark() {
        mark.end();
    }
}

/// Ends a session and takes it out.
fn remove(sessions: &mut Sessions, id: &SessionId) -> bool {
    let removed = sessions.remove(id);
    removed.inspect(|session| end(session)).is_some()
}

fn make_room_for(sessions: &mut Sessions, principal: &Principal, now: Instant) -> Result<(), StoreFull> {
    make_room(sessions, SESSIONS_PER_PRINCIPAL_MAX, now, |session| session.principal() == principal)?;
    make_room(sessions, SESSIONS_MAX, now, |_| true)
}

/// Sees that there is room for one more among those that `counts` counts.
fn make_room(
    sessions: &mut Sessions,
    max: usize,
    now: Instant,
    counts: impl Fn(&SessionState) -> bool,
) -> Result<(), StoreFull> {
    if sessions.len() < max || sessions.values().filter(|session| counts(session)).count() < max {
        return Ok(());
    }
    let over = |session: &SessionState| session.is_expired(now);
    let idle =
        sessions.iter().filter(|(_, session)| counts(session) && (over(session) || !session.is_in_use()));
    let oldest = idle.min_by_key(|(_, session)| (!over(session), session.last_access()));
    let id = oldest.map(|(id, _)| *id).ok_or(StoreFull { sessions: max, retry_after: SWEEP })?;
    remove(sessions, &id);
    Ok(())
}

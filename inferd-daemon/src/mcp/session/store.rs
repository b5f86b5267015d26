//! All sessions of a daemon: principals enter, sessions leave, and end when they are over.
//!
//! Invariants:
//! - At most [`SESSIONS_MAX`], and [`SESSIONS_PER_PRINCIPAL_MAX`] of one principal. To make room the one that was idle for
//!   longest ends; one that is in use never does.
//! - Another principal's session is as one that is not there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::id::{Principal, SessionId};
use super::limits::{SESSIONS_MAX, SESSIONS_PER_PRINCIPAL_MAX, SWEEP};
use super::state::SessionState;

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

#[derive(Debug)]
struct Inner {
    sessions: Mutex<Sessions>,
    gone: CancellationToken,
    /// Ends the sweeper with the last handle.
    _last_handle: DropGuard,
}

type Sessions = HashMap<SessionId, Arc<SessionState>>;

impl Default for SessionStore {
    fn default() -> Self {
        let gone = CancellationToken::new();
        let last_handle = gone.clone().drop_guard();
        Self { inner: Arc::new(Inner { sessions: Mutex::default(), gone, _last_handle: last_handle }) }
    }
}

impl SessionStore {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a session that begins at `now`, and gives it its id.
    ///
    /// # Errors
    /// [`StoreFull`]: there is no room, and no idle session that could make some.
    pub fn insert(&self, session: SessionState, now: Instant) -> Result<SessionId, StoreFull> {
        let mut sessions = self.sessions();
        let principal = session.principal().clone();
        let own = |session: &SessionState| session.principal() == &principal;
        make_room(&mut sessions, SESSIONS_PER_PRINCIPAL_MAX, now, own)?;
        make_room(&mut sessions, SESSIONS_MAX, now, |_| true)?;
        let id = SessionId::assign();
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
        own && remove(&mut sessions, id)
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

    /// Ends all sessions: the daemon stops.
    pub fn end_all(&self) {
        self.sessions().drain().for_each(|(_, session)| session.end());
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.inner.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a session.
fn remove(sessions: &mut Sessions, id: &SessionId) -> bool {
    let removed = sessions.remove(id);
    removed.inspect(|session| session.end()).is_some()
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

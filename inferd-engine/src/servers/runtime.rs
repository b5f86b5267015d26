//! Runs the sessions of one server.
//!
//! Invariants:
//! - One session a thread at a time.
//! - A session is listed from before its task begins until just before its result is known; its room is given back then.
//! - Once a runtime is ending no session begins, and all that have begun are cancelled.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use inferd_proto::Resolved;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::api::{ApiError, Thread};
use super::connection::ServerConnection;
use super::error::RuntimeError;
use super::id::{ServerId, ThreadKey};
use super::limits::Limits;
use super::nesting::{at_depth, next_depth};
use super::pool::Pool;
use super::registry::Registered;
use super::room::Room;
use super::session::{AgentSession, Handle, Shared};
use super::spawn::Spawn;
use super::task::{Listed, Sessions, run};
use super::transcript::Transcript;
use super::turns::Turns;
use crate::tools::{Offer, ToolError, ToolResolver};

/// See the module. To be used within a tokio runtime.
pub struct AgentRuntime {
    server: Registered,
    tool_resolver: Arc<dyn ToolResolver>,
    limits: Limits,
    pool: Pool,
    /// Cancelled when no session may begin or go on.
    ending: CancellationToken,
    sessions: Sessions,
    tasks: TaskTracker,
}

/// The right to begin a session.
struct Place {
    depth: usize,
    slot: OwnedSemaphorePermit,
    deadline: Option<Instant>,
}

/// What a session needs of its server before it can begin.
struct Prepared {
    room: Room,
    thread: Thread,
    offer: Offer,
}

impl AgentRuntime {
    /// A runtime of its own for this server.
    #[must_use]
    pub fn from_connection(
        connection: ServerConnection,
        tool_resolver: Arc<dyn ToolResolver>,
        limits: Limits,
    ) -> Self {
        let pool = Pool::new(limits.sessions_max);
        let server = Registered { connection, number: 0, removed: CancellationToken::new() };
        Self::of(server, tool_resolver, limits, pool)
    }

    /// A runtime that shares `pool`, and ends when the server is removed.
    pub(super) fn of(
        server: Registered,
        tool_resolver: Arc<dyn ToolResolver>,
        limits: Limits,
        pool: Pool,
    ) -> Self {
        let ending = server.removed.child_token();
        let (sessions, tasks) = (Sessions::default(), TaskTracker::new());
        Self { server, tool_resolver, limits, pool, ending, sessions, tasks }
    }

    /// The server whose sessions it runs.
    #[must_use]
    pub fn server_id(&self) -> &ServerId {
        &self.server.connection.server_id
    }

    /// Begins a session: the user says `prompt` in a new thread of `room_id`.
    ///
    /// # Errors
    /// As for [`spawn_with`](Self::spawn_with).
    pub async fn spawn(
        &self,
        room_id: impl Into<String>,
        prompt: impl Into<String>,
    ) -> Result<AgentSession, RuntimeError> {
        self.spawn_with(Spawn::prompt(room_id, prompt)).await
    }

    /// Begins a session, once room, tools and thread are there. Dropping the future gives up and leaves nothing.
    ///
    /// # Errors
    /// [`RuntimeError`]: `Disposed` or `UnknownServer` where the runtime ends meanwhile, `Limit`, `ThreadBusy`,
    /// `SpawnTimedOut`, and `Api` or `Tools` where the server does not give what is needed.
    pub async fn spawn_with(&self, spawn: Spawn) -> Result<AgentSession, RuntimeError> {
        let place = self.place(spawn.request.deadline)?;
        let now = Instant::now();
        let left = place
            .deadline
            .map_or(self.limits.spawn_timeout, |deadline| deadline.saturating_duration_since(now));
        let after = left.min(self.limits.spawn_timeout);
        let found = tokio::select! {
            biased;
            () = self.ending.cancelled() => return Err(self.gone()),
            found = timeout(after, self.prepare(&spawn)) => found.map_err(|_elapsed| {
                RuntimeError::SpawnTimedOut { server_id: self.server_id().clone(), after }
            })??,
        };
        self.begin(spawn, found, place)
    }

    /// The sessions that have not ended, sorted by thread.
    #[must_use]
    pub fn active_sessions(&self) -> Vec<AgentSession> {
        let mut sessions: Vec<_> = self.lock().values().filter_map(Weak::upgrade).map(AgentSession).collect();
        sessions.sort_by(|one, other| one.thread_key().cmp(other.thread_key()));
        sessions
    }

    /// The session of this thread, while it has not ended.
    #[must_use]
    pub fn session(&self, thread_key: &ThreadKey) -> Option<AgentSession> {
        self.lock().get(thread_key).and_then(Weak::upgrade).map(AgentSession)
    }

    /// Cancels all sessions, and waits until they have ended.
    pub async fn cancel_all(&self) {
        let sessions = self.active_sessions();
        sessions.iter().for_each(AgentSession::cancel);
        for session in sessions {
            session.result().await;
        }
    }

    /// Ends all sessions for good, and waits until no task of them is left. More than once is as good as once.
    pub async fn dispose(&self) {
        self.end();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Cancels all sessions, and lets none begin; returns once those that were just beginning have.
    pub(super) fn end(&self) {
        self.ending.cancel();
        drop(self.lock());
    }

    /// Whether it is the runtime of this addition of its server, and takes sessions.
    pub(super) fn serves(&self, server: &Registered) -> bool {
        self.server.number == server.number && !self.is_ended()
    }

    /// Whether it takes no sessions any more.
    pub(super) fn is_ended(&self) -> bool {
        self.ending.is_cancelled()
    }

    fn gone(&self) -> RuntimeError {
        if self.server.removed.is_cancelled() {
            RuntimeError::UnknownServer(self.server_id().to_string())
        } else {
            RuntimeError::Disposed
        }
    }

    /// Room for a session that begins now.
    fn place(&self, asked: Option<Duration>) -> Result<Place, RuntimeError> {
        let depth = next_depth(self.limits.depth_max)?;
        let slot = self.pool.slot()?;
        let deadline = [asked, self.limits.deadline].into_iter().flatten().min();
        // One that no clock can name is none.
        let deadline = deadline.and_then(|after| Instant::now().checked_add(after));
        Ok(Place { depth, slot, deadline })
    }

    /// The thread last: opening one may leave something behind.
    async fn prepare(&self, spawn: &Spawn) -> Result<Prepared, RuntimeError> {
        let refused = |error: ApiError| RuntimeError::Api { server_id: self.server_id().clone(), error };
        let no_tools = |error: ToolError| RuntimeError::Tools {
            server_id: self.server_id().clone(),
            room: spawn.room_id.clone(),
            error,
        };
        let api = &self.server.connection.api;
        let room = api.room(&spawn.room_id).await.map_err(refused)?;
        let resolver = spawn.tools.as_ref().unwrap_or(&self.tool_resolver);
        let tools = resolver.tools(&spawn.room_id).await.map_err(no_tools)?;
        let offer = Offer::new(tools.filtered(|tool| room.allows(tool))).map_err(no_tools)?;
        let thread = api.open_thread(&spawn.room_id, spawn.thread_id.as_deref()).await.map_err(refused)?;
        Ok(Prepared { room, thread, offer })
    }

    fn begin(&self, spawn: Spawn, found: Prepared, place: Place) -> Result<AgentSession, RuntimeError> {
        let Prepared { room, thread, offer } = found;
        let (server_id, room_id) = (self.server_id().clone(), spawn.room_id);
        let thread_key = ThreadKey { server_id, room_id, thread_id: thread.id };
        let mut sessions = self.lock();
        // Under the lock, which `end` takes after it has cancelled.
        if self.ending.is_cancelled() {
            return Err(self.gone());
        }
        if sessions.contains_key(&thread_key) {
            return Err(RuntimeError::ThreadBusy(thread_key));
        }
        let cancel = self.ending.child_token();
        let shared = Arc::new(Shared::new(thread_key.clone(), cancel, self.limits.events_max));
        let session = AgentSession::new(Arc::clone(&shared));
        sessions.insert(thread_key, Arc::downgrade(&session.0));
        let max_steps = spawn.max_steps.map_or(self.limits.max_steps, |max| max.min(self.limits.max_steps));
        let turns = Turns {
            runs: spawn.runs.unwrap_or_else(|| Arc::clone(&self.server.connection.runs)),
            offer,
            transcript: Transcript::new(room.system, thread.messages, &spawn.request.messages),
            request: Resolved { model: spawn.request.model.clone().or(room.model), ..spawn.request },
            limits: Limits { max_steps, ..self.limits.clone() },
            deadline: place.deadline,
        };
        let listed = Listed::new(shared, Arc::clone(&self.sessions), place.slot);
        let task = run(listed, turns, Arc::clone(&self.server.connection.api));
        self.tasks.spawn(self.pool.tasks.track_future(at_depth(place.depth, task)));
        drop(sessions);
        Ok(session)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ThreadKey, Weak<Handle>>> {
        // No code that can panic runs under this lock but what a runtime says of its absence.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for AgentRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentRuntime").field("server_id", self.server_id()).finish_non_exhaustive()
    }
}

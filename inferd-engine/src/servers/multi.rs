//! Runs the sessions of many servers.
//!
//! Invariants:
//! - One runtime for each addition of a server, made when it is first asked for. A server that was removed and added
//!   again has another one; nothing of the old one's goes on.
//! - All of them share the room for sessions.
//! - Disposed of, it has no runtime, no session and no task, and gets none.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{join_all, try_join};

use super::error::RuntimeError;
use super::id::{ServerId, ThreadKey};
use super::limits::Limits;
use super::pool::Pool;
use super::registry::ServerRegistry;
use super::result::AgentResult;
use super::runtime::AgentRuntime;
use super::session::AgentSession;
use super::spawn::Spawn;
use super::wait;
use crate::tools::{
    FederatedToolRegistryResolver, ServerScopedToolResolver, ToolError, ToolRegistry, ToolResolver,
};

/// See the module. To be used within a tokio runtime.
pub struct MultiServerRuntime {
    registry: ServerRegistry,
    tool_resolver: Arc<dyn ToolResolver>,
    limits: Limits,
    pool: Pool,
    runtimes: Mutex<Runtimes>,
}

#[derive(Default)]
struct Runtimes {
    by_server: BTreeMap<ServerId, Arc<AgentRuntime>>,
    is_disposed: bool,
}

impl MultiServerRuntime {
    /// Runs sessions on the servers of `registry`, as they come and go, with the tools that `tool_resolver` has for a
    /// session's room.
    #[must_use]
    pub fn new(registry: ServerRegistry, tool_resolver: Arc<dyn ToolResolver>, limits: Limits) -> Self {
        let (pool, runtimes) = (Pool::new(limits.sessions_max), Mutex::default());
        Self { registry, tool_resolver, limits, pool, runtimes }
    }

    /// Gives every session the tools of all servers as well, as `server::tool`. To be called before any session begins.
    #[must_use]
    pub fn with_server_scoped_resolver(self, resolver: Arc<dyn ServerScopedToolResolver>) -> Self {
        let servers = FederatedToolRegistryResolver::new(self.registry.clone(), resolver);
        Self { tool_resolver: Arc::new(WithServers { room: self.tool_resolver, servers }), ..self }
    }

    /// The servers.
    #[must_use]
    pub fn registry(&self) -> &ServerRegistry {
        &self.registry
    }

    /// The runtime of a server: the same one each time, while the server stays.
    ///
    /// # Errors
    /// [`RuntimeError::UnknownServer`], [`RuntimeError::Disposed`].
    pub fn runtime_for(&self, server_id: &str) -> Result<Arc<AgentRuntime>, RuntimeError> {
        let mut runtimes = self.lock();
        if runtimes.is_disposed {
            return Err(RuntimeError::Disposed);
        }
        let server = self.registry.registered(server_id)?;
        if let Some(runtime) = runtimes.by_server.get(server_id)
            && runtime.serves(&server)
        {
            return Ok(Arc::clone(runtime));
        }
        runtimes.let_go_of_ended();
        let server_id = server.connection.server_id.clone();
        let (tools, limits) = (Arc::clone(&self.tool_resolver), self.limits.clone());
        let runtime = Arc::new(AgentRuntime::of(server, tools, limits, self.pool.clone()));
        if let Some(old) = runtimes.by_server.insert(server_id, Arc::clone(&runtime)) {
            old.end();
        }
        Ok(runtime)
    }

    /// Begins a session on a server: the user says `prompt` in a new thread of `room_id`.
    ///
    /// # Errors
    /// As for [`AgentRuntime::spawn_with`] and [`runtime_for`](Self::runtime_for).
    pub async fn spawn(
        &self,
        server_id: &str,
        room_id: impl Into<String>,
        prompt: impl Into<String>,
    ) -> Result<AgentSession, RuntimeError> {
        self.spawn_with(server_id, Spawn::prompt(room_id, prompt)).await
    }

    /// Begins a session on a server.
    ///
    /// # Errors
    /// As for [`AgentRuntime::spawn_with`] and [`runtime_for`](Self::runtime_for).
    pub async fn spawn_with(&self, server_id: &str, spawn: Spawn) -> Result<AgentSession, RuntimeError> {
        self.runtime_for(server_id)?.spawn_with(spawn).await
    }

    /// The sessions of all servers that have not ended, sorted by thread.
    #[must_use]
    pub fn active_sessions(&self) -> Vec<AgentSession> {
        self.runtimes().iter().flat_map(|runtime| runtime.active_sessions()).collect()
    }

    /// The session of this thread, while it has not ended.
    #[must_use]
    pub fn session(&self, thread_key: &ThreadKey) -> Option<AgentSession> {
        let runtime = self.lock().by_server.get(&thread_key.server_id).cloned();
        runtime.and_then(|runtime| runtime.session(thread_key))
    }

    /// Waits for all of these sessions, or until `timeout` has passed: what each came to, in their order, with
    /// [`AgentResult::TimedOut`] for those that have not ended by then. Those go on.
    pub async fn wait_all(&self, sessions: &[AgentSession], timeout: Option<Duration>) -> Vec<AgentResult> {
        wait::all(sessions, timeout).await
    }

    /// Waits for the first of these sessions that succeeds: which, and its result. Where none does, the result that
    /// came last. The others go on.
    ///
    /// # Errors
    /// [`RuntimeError::EmptyWait`] for no sessions, [`RuntimeError::WaitTimedOut`] where `timeout` passes before.
    pub async fn wait_any(
        &self,
        sessions: &[AgentSession],
        timeout: Option<Duration>,
    ) -> Result<(ThreadKey, AgentResult), RuntimeError> {
        wait::any(sessions, timeout).await
    }

    /// As [`wait_any`](Self::wait_any); the others are cancelled then, and all of them where `timeout` passes before.
    ///
    /// # Errors
    /// As for `wait_any`.
    pub async fn first_success_cancel_rest(
        &self,
        sessions: &[AgentSession],
        timeout: Option<Duration>,
    ) -> Result<(ThreadKey, AgentResult), RuntimeError> {
        let first = self.wait_any(sessions, timeout).await;
        // One that has ended, the winner, is none the worse for it.
        sessions.iter().for_each(AgentSession::cancel);
        first
    }

    /// Cancels all sessions, and waits until they have ended.
    pub async fn cancel_all(&self) {
        let runtimes = self.runtimes();
        join_all(runtimes.iter().map(|runtime| runtime.cancel_all())).await;
    }

    /// Ends all sessions for good, and waits until no task of them is left. Who comes second, or at the same time,
    /// waits for the same.
    pub async fn dispose(&self) {
        self.lock().is_disposed = true;
        for runtime in self.runtimes() {
            runtime.end();
        }
        self.pool.tasks.close();
        self.pool.tasks.wait().await;
        self.lock().by_server.clear();
    }

    fn runtimes(&self) -> Vec<Arc<AgentRuntime>> {
        self.lock().by_server.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Runtimes> {
        // No code that can panic runs under this lock.
        self.runtimes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runtimes {
    /// Drops the runtimes of servers that were removed, once nothing of theirs can begin.
    fn let_go_of_ended(&mut self) {
        self.by_server.retain(|_, runtime| {
            let is_ended = runtime.is_ended();
            if is_ended {
                runtime.end();
            }
            !is_ended
        });
    }
}

impl fmt::Debug for MultiServerRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MultiServerRuntime").field("registry", &self.registry).finish_non_exhaustive()
    }
}

/// The room's own tools, and those of all servers.
struct WithServers {
    room: Arc<dyn ToolResolver>,
    servers: FederatedToolRegistryResolver,
}

#[async_trait]
impl ToolResolver for WithServers {
    async fn tools(&self, room: &str) -> Result<ToolRegistry, ToolError> {
        let (own, all) = try_join(self.room.tools(room), self.servers.tools(room)).await?;
        ToolRegistry::from_tools(own.tools().chain(all.tools()).cloned())
    }
}

//! A server that knows the rooms it was given, and keeps threads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use inferd_proto::Message;
use tokio::sync::{Semaphore, watch};

use crate::servers::{ApiError, Room, RunStream, ServerApi, ServerConnection, Thread, ThreadKey};
use crate::tools::ToolRegistry;

/// See the module.
#[derive(Debug)]
pub struct FakeApi {
    rooms: Vec<Room>,
    tools: ToolRegistry,
    threads: Mutex<BTreeMap<(String, String), Vec<Message>>>,
    /// Has a permit for each thread that may be opened now.
    may_open: Semaphore,
    asked: watch::Sender<usize>,
}

impl FakeApi {
    /// Knows these rooms, without tools.
    #[must_use]
    pub fn with_rooms(rooms: Vec<Room>) -> Self {
        Self {
            rooms,
            tools: ToolRegistry::new(),
            threads: Mutex::default(),
            may_open: Semaphore::new(Semaphore::MAX_PERMITS),
            asked: watch::Sender::default(),
        }
    }

    /// The same, with these tools in every room.
    #[must_use]
    pub fn with_tools(self, tools: ToolRegistry) -> Self {
        Self { tools, ..self }
    }

    /// The same, opening no thread before it is told to.
    #[must_use]
    pub fn shut(self) -> Self {
        Self { may_open: Semaphore::new(0), ..self }
    }

    /// Opens so many threads more.
    pub fn open(&self, threads: usize) {
        self.may_open.add_permits(threads);
    }

    /// Waits until so many threads were asked for.
    pub async fn until_asked(&self, threads: usize) {
        self.until(|asked| *asked >= threads).await;
    }

    /// What is kept of a thread; nothing of one that there is not.
    #[must_use]
    pub fn kept(&self, room_id: &str, thread_id: &str) -> Vec<Message> {
        self.lock().get(&(room_id.to_owned(), thread_id.to_owned())).cloned().unwrap_or_default()
    }

    async fn until(&self, holds: impl FnMut(&usize) -> bool) {
        self.asked.subscribe().wait_for(holds).await.expect("the sender is our own");
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, String), Vec<Message>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for FakeApi {
    /// Knows the rooms `r1` and `r2`, which restrict nothing.
    fn default() -> Self {
        Self::with_rooms(vec![Room::new("r1"), Room::new("r2")])
    }
}

#[async_trait]
impl ServerApi for FakeApi {
    async fn rooms(&self) -> Result<Vec<Room>, ApiError> {
        Ok(self.rooms.clone())
    }

    async fn open_thread(&self, room_id: &str, thread_id: Option<&str>) -> Result<Thread, ApiError> {
        self.asked.send_modify(|asked| *asked += 1);
        self.may_open.acquire().await.expect("it is never closed").forget();
        let mut threads = self.lock();
        let id = thread_id.map_or_else(|| format!("t{}", threads.len() + 1), str::to_owned);
        let messages = threads.entry((room_id.to_owned(), id.clone())).or_default().clone();
        Ok(Thread { id, messages })
    }

    async fn keep(&self, thread: &ThreadKey, added: &[Message]) -> Result<(), ApiError> {
        let key = (thread.room_id.clone(), thread.thread_id.clone());
        self.lock().entry(key).or_default().extend_from_slice(added);
        Ok(())
    }

    async fn tools(&self, room_id: &str) -> Result<ToolRegistry, ApiError> {
        self.room(room_id).await?;
        Ok(self.tools.clone())
    }
}

/// A server with the rooms of [`FakeApi::default`] on which `runs` takes the turns.
///
/// # Panics
/// Where `server_id` cannot be one.
#[must_use]
pub fn connection(server_id: &str, runs: Arc<dyn RunStream>) -> ServerConnection {
    ServerConnection::new(server_id, Arc::new(FakeApi::default()), runs).expect("an id of a server")
}

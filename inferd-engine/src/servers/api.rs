//! What a server is to this crate: what generates for it, and what it knows of rooms, threads and tools.

use async_trait::async_trait;
use inferd_proto::{Message, Resolved};

use super::id::ThreadKey;
use super::room::Room;
use crate::tools::ToolRegistry;
use crate::{Backend, GenerateError, TokenStream};

/// One model turn, streamed. Every [`Backend`] is one; whoever has an admission puts it in front.
#[async_trait]
pub trait RunStream: Send + Sync {
    /// Begins a turn. Dropping the future, or the stream, ends it and frees what it holds.
    ///
    /// `turn` has the conversation so far, the tools on offer, and as its deadline what is left of the session's.
    ///
    /// # Errors
    /// [`GenerateError`] where the turn did not begin; later failures are [`TokenEvent::Failed`](crate::TokenEvent).
    async fn run(&self, turn: Resolved) -> Result<TokenStream, GenerateError>;
}

#[async_trait]
impl<B: Backend> RunStream for B {
    async fn run(&self, turn: Resolved) -> Result<TokenStream, GenerateError> {
        self.generate(turn).await
    }
}

/// A conversation as a session finds it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Thread {
    /// Its name, unique in its room; not empty.
    pub id: String,
    /// What was said in it before, oldest first, without the room's instructions.
    pub messages: Vec<Message>,
}

/// Rooms, threads and tools of a server. Dropping a future of one of its methods gives up.
#[async_trait]
pub trait ServerApi: Send + Sync {
    /// All rooms, sorted by id.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`].
    async fn rooms(&self) -> Result<Vec<Room>, ApiError>;

    /// The room of this id.
    ///
    /// # Errors
    /// [`ApiError::UnknownRoom`], or as for `rooms`.
    async fn room(&self, room_id: &str) -> Result<Room, ApiError> {
        let room = self.rooms().await?.into_iter().find(|room| room.id == room_id);
        room.ok_or_else(|| ApiError::UnknownRoom(room_id.to_owned()))
    }

    /// The thread of this id in that room, or a new one. Whether an id that was not seen before is a new thread or an
    /// error is the server's to say.
    ///
    /// # Errors
    /// [`ApiError`].
    async fn open_thread(&self, room_id: &str, thread_id: Option<&str>) -> Result<Thread, ApiError>;

    /// Keeps what a session that succeeded has added to a thread: what was asked, the calls, their results, the answer.
    /// Nothing is kept unless a server does.
    ///
    /// # Errors
    /// [`ApiError`]; the session has its answer all the same.
    async fn keep(&self, _thread: &ThreadKey, _added: &[Message]) -> Result<(), ApiError> {
        Ok(())
    }

    /// The server's own tools for a room, by their own names.
    ///
    /// # Errors
    /// [`ApiError`].
    async fn tools(&self, room_id: &str) -> Result<ToolRegistry, ApiError>;
}

/// Why a server did not give what it was asked for. The texts are fit to be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// It has no such room.
    #[error("there is no room {0:?}")]
    UnknownRoom(String),
    /// The room has no such thread.
    #[error("there is no thread {0:?}")]
    UnknownThread(String),
    /// It cannot be reached, or failed.
    #[error("{0}")]
    Unavailable(String),
}

//! What a session is asked.

use std::fmt;
use std::sync::Arc;

use inferd_proto::{Message, Resolved, Role};

use super::api::RunStream;
use crate::tools::ToolResolver;

/// See the module.
#[derive(Clone)]
pub struct Spawn {
    /// The room.
    pub room_id: String,
    /// The thread to go on with; `None`: a new one.
    pub thread_id: Option<String>,
    /// What is said, and how every turn is to be taken. Its deadline is the session's, where it is the shorter one; its
    /// choice of tools is the first turn's; tools of its own are not offered.
    pub request: Resolved,
    /// Model turns, where they are to be fewer than the runtime's limit says. 0 counts as 1.
    pub max_steps: Option<u32>,
    /// Takes the turns, in place of the connection's own: a door puts the account of who asks in here, and learns by it
    /// where each turn stands.
    pub runs: Option<Arc<dyn RunStream>>,
    /// Has the tools, in place of the runtime's resolver: a door knows how far what it was asked reaches.
    pub tools: Option<Arc<dyn ToolResolver>>,
}

impl Spawn {
    /// Asks `request` in a new thread of `room_id`.
    #[must_use]
    pub fn new(room_id: impl Into<String>, request: Resolved) -> Self {
        Self { room_id: room_id.into(), thread_id: None, request, max_steps: None, runs: None, tools: None }
    }

    /// The user says `prompt` in a new thread of `room_id`.
    #[must_use]
    pub fn prompt(room_id: impl Into<String>, prompt: impl Into<String>) -> Self {
        let said = Message { role: Role::User, content: prompt.into().into() };
        Self::new(room_id, Resolved { messages: [said].into(), stream: true, ..Resolved::default() })
    }

    /// The same, going on with a thread.
    #[must_use]
    pub fn in_thread(self, thread_id: impl Into<String>) -> Self {
        Self { thread_id: Some(thread_id.into()), ..self }
    }
}

impl fmt::Debug for Spawn {
    // Without what is said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawn")
            .field("room_id", &self.room_id)
            .field("thread_id", &self.thread_id)
            .field("max_steps", &self.max_steps)
            .finish_non_exhaustive()
    }
}

//! Conversations that whoever began them may come back to. What is kept is a value; time is an argument.
//!
//! Invariants:
//! - A thread is found by its owner alone, and only on the server and in the room it was begun in.
//! - All of them together weigh no more than [`WEIGHT_MAX`]. Who holds the most gives way first, and of theirs what was not
//!   used for longest.
//! - What was not used for [`KEPT`] is gone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use inferd_engine::servers::ThreadKey;
use inferd_proto::{Block, Body, Message};
use tokio::time::Instant;
use uuid::Uuid;

use super::error::AgentError;

/// Bytes of all threads.
const WEIGHT_MAX: usize = 64 * 1024 * 1024;

/// What a thread weighs at least: so many threads there may be.
const WEIGHT_MIN: usize = 16 * 1024;

/// Bytes of one thread. One that grows past it cannot be gone on with.
const THREAD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long an unused thread is kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// What a message takes beside what is said in it.
const MESSAGE_BYTES: usize = 64;

/// See the module. Clones are of the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Threads(Arc<Mutex<Kept>>);

/// A place in a thread, for one turn. A thread in which nothing was said by the end of it was none.
#[derive(Debug)]
pub(super) struct Place {
    id: String,
    threads: Threads,
}

impl Place {
    /// A place in the thread that is `named`, or in a new one.
    pub(super) fn take(
        threads: &Threads,
        owner: &Arc<str>,
        (server, room): (&str, &str),
        named: Option<String>,
        now: Instant,
    ) -> Result<Self, AgentError> {
        let whose = Whose { owner: Arc::clone(owner), server: server.to_owned(), room: room.to_owned() };
        let id = match named {
            Some(id) if threads.lock().resume(&id, &whose, now) => id,
            Some(id) => return Err(AgentError::UnknownThread(id)),
            None => {
                let id = Uuid::now_v7().to_string();
                threads.lock().begin(id.clone(), whose, now);
                id
            }
        };
        Ok(Self { id, threads: threads.clone() })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.threads.lock().forget_empty(&self.id);
    }
}

impl Threads {
    /// What was said in a thread so far; `None`: there is none.
    pub(super) fn messages(&self, id: &str) -> Option<Vec<Message>> {
        self.lock().by_id.get(id).map(|thread| thread.messages.clone())
    }

    /// Adds to a thread; whether it is still there.
    pub(super) fn append(&self, key: &ThreadKey, added: &[Message], now: Instant) -> bool {
        self.lock().append(&key.thread_id, added, now)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // No code that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All threads.
#[derive(Debug, Default)]
struct Kept {
    by_id: HashMap<String, Thread>,
    weight: usize,
    /// Counts uses, so that two at one time have an order.
    uses: u64,
}

/// Who may find a thread, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Whose {
    owner: Arc<str>,
    server: String,
    room: String,
}

#[derive(Debug)]
struct Thread {
    whose: Whose,
    messages: Vec<Message>,
    bytes: usize,
    used: (Instant, u64),
}

impl Thread {
    fn weight(&self) -> usize {
        self.bytes.max(WEIGHT_MIN)
    }
}

impl Kept {
    fn begin(&mut self, id: String, whose: Whose, now: Instant) {
        self.expire(now);
        self.uses += 1;
        let thread = Thread { whose, messages: Vec::new(), bytes: 0, used: (now, self.uses) };
        self.weight += thread.weight();
        self.by_id.insert(id, thread);
        self.make_room();
    }

    /// Whether there is such a thread; it is used now.
    fn resume(&mut self, id: &str, whose: &Whose, now: Instant) -> bool {
        self.expire(now);
        self.uses += 1;
        let found = self.by_id.get_mut(id).filter(|thread| thread.whose == *whose);
        found.map(|thread| thread.used = (now, self.uses)).is_some()
    }

    fn append(&mut self, id: &str, added: &[Message], now: Instant) -> bool {
        let Some(mut thread) = self.remove(id) else { return false };
        thread.bytes += added.iter().map(bytes).sum::<usize>();
        if thread.bytes > THREAD_BYTES_MAX {
            return false;
        }
        self.uses += 1;
        thread.used = (now, self.uses);
        thread.messages.extend_from_slice(added);
        self.weight += thread.weight();
        self.by_id.insert(id.to_owned(), thread);
        self.make_room();
        true
    }

    fn forget_empty(&mut self, id: &str) {
        if self.by_id.get(id).is_some_and(|thread| thread.messages.is_empty()) {
            self.remove(id);
        }
    }

    fn expire(&mut self, now: Instant) {
        let is_old = |thread: &Thread| now.saturating_duration_since(thread.used.0) >= KEPT;
        let old: Vec<String> =
            self.by_id.iter().filter(|(_, thread)| is_old(thread)).map(|(id, _)| id.clone()).collect();
        for id in old {
            self.remove(&id);
        }
    }

    fn make_room(&mut self) {
        while self.weight > WEIGHT_MAX {
            let mut held: HashMap<&str, usize> = HashMap::new();
            for thread in self.by_id.values() {
                *held.entry(&thread.whose.owner).or_default() += thread.weight();
            }
            let Some((owner, _)) = held.into_iter().max_by_key(|&(_, weight)| weight) else { return };
            let theirs = self.by_id.iter().filter(|(_, thread)| &*thread.whose.owner == owner);
            let Some((id, _)) = theirs.min_by_key(|(_, thread)| thread.used) else { return };
            let id = id.clone();
            self.remove(&id);
        }
    }

    fn remove(&mut self, id: &str) -> Option<Thread> {
        let thread = self.by_id.remove(id)?;
        self.weight -= thread.weight();
        Some(thread)
    }
}

/// What a message takes.
fn bytes(message: &Message) -> usize {
    let content = &message.content;
    let images = match &content.body {
        Body::Text(_) => 0,
        Body::Blocks(blocks) => blocks
            .iter()
            .map(|block| match block {
                Block::Image { data, .. } => data.len(),
                Block::Text { .. } => MESSAGE_BYTES,
            })
            .sum(),
    };
    let calls: usize =
        content.tool_calls.iter().map(|call| MESSAGE_BYTES + call.function.arguments.len()).sum();
    MESSAGE_BYTES + content.text_bytes() + images + calls
}

#[cfg(test)]
mod tests;

//! What is open on one connection: requests by id, hellos in order, and bytes not yet written.
//!
//! Invariants:
//! - An id leaves the table with its terminal frame only, so it cannot be used again while the daemon knows it.
//! - A cancel is written after its request.
//! - Once broken, nothing is accepted, and everything that was open has been told.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use inferd_proto::{DaemonFrame, ErrorCode, Hello, MAX_FRAME_BYTES, Response};
use serde::Serialize;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{Broken, ClientError};

/// What an answer holds of frames nobody has read yet, in bytes; see the [module](super) for what follows then.
pub const ANSWER_BYTES_MAX: u32 = 1 << 20;

/// What a held frame costs beside its line, in bytes.
const FRAME_BYTES_MIN: u32 = 128;

/// Unsent requests, in bytes: one of the largest, or many small ones.
#[expect(clippy::cast_possible_truncation, reason = "64 MiB and a newline fit")]
const UNSENT_BYTES_MAX: u32 = MAX_FRAME_BYTES as u32 + 1;

/// A frame, and the room it takes until it is read or dropped.
pub(super) type Held = (Response, OwnedSemaphorePermit);

pub(super) struct Open {
    state: Mutex<State>,
    to_write: Notify,
    /// Room for unsent requests; closed once broken.
    unsent_room: Semaphore,
}

#[derive(Default)]
struct State {
    answers: HashMap<String, Inbox>,
    hellos: std::collections::VecDeque<oneshot::Sender<Result<Hello, ClientError>>>,
    unsent: Unsent,
    /// The last error frame that named no request.
    last_words: Option<Broken>,
    broken: Option<Broken>,
}

/// The writing end of an answer.
#[derive(Clone)]
struct Inbox {
    held: mpsc::Sender<Held>,
    room: Arc<Semaphore>,
}

/// Lines to write, and how much of the room they take.
#[derive(Default)]
pub(super) struct Unsent {
    pub(super) bytes: Vec<u8>,
    room: usize,
}

impl Default for Open {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            to_write: Notify::new(),
            unsent_room: Semaphore::new(UNSENT_BYTES_MAX as usize),
        }
    }
}

impl Open {
    /// Opens a request: waits for room among the unsent, then never again.
    pub(super) async fn request(&self, id: &str, line: &[u8]) -> Result<mpsc::Receiver<Held>, ClientError> {
        let room = u32::try_from(line.len()).unwrap_or(u32::MAX).min(UNSENT_BYTES_MAX);
        // Refused only when closed, and then `state.accepting` says why.
        let permit = self.unsent_room.acquire_many(room).await.ok();
        let mut state = self.state();
        state.accepting()?;
        let (inbox, frames) = inbox();
        match state.answers.entry(id.to_owned()) {
            Entry::Occupied(_) => return Err(ClientError::IdInUse(id.to_owned())),
            Entry::Vacant(vacant) => vacant.insert(inbox),
        };
        if let Some(permit) = permit {
            permit.forget();
            state.unsent.room += room as usize;
        }
        self.say(&mut state, line);
        Ok(frames)
    }

    /// Sends a hello; `told` learns the daemon's.
    pub(super) fn hello(
        &self,
        told: oneshot::Sender<Result<Hello, ClientError>>,
        line: &[u8],
    ) -> Result<(), Broken> {
        let mut state = self.state();
        state.accepting()?;
        state.hellos.push_back(told);
        self.say(&mut state, line);
        Ok(())
    }

    /// Ends the request `id` at the daemon, if it is still open. Never waits: there is at most one a request.
    pub(super) fn cancel(&self, id: &str) {
        #[derive(Serialize)]
        struct Cancel<'a> {
            r#type: &'static str,
            id: &'a str,
        }
        let mut state = self.state();
        if !state.answers.contains_key(id) {
            return;
        }
        let mut line = serde_json::to_vec(&Cancel { r#type: "cancel", id }).expect("two strings are JSON");
        line.push(b'\n');
        self.say(&mut state, &line);
    }

    /// Why the connection takes nothing any more.
    pub(super) fn broken(&self) -> Option<Broken> {
        self.state().broken.clone()
    }

    /// Takes all there is to write, waiting until there is something.
    pub(super) async fn unsent(&self) -> Unsent {
        loop {
            let unsent = std::mem::take(&mut self.state().unsent);
            if !unsent.bytes.is_empty() {
                return unsent;
            }
            self.to_write.notified().await;
        }
    }

    /// Gives back the room of what was written.
    pub(super) fn sent(&self, unsent: &Unsent) {
        self.unsent_room.add_permits(unsent.room);
    }

    /// Hands a frame to whom it belongs; waits where that answer holds all it may.
    pub(super) async fn deliver(&self, frame: DaemonFrame, bytes: usize) {
        let response = match frame {
            DaemonFrame::Response(response) => response,
            DaemonFrame::Hello(hello) => return self.tell(Ok(*hello)),
            DaemonFrame::Embeddings(_) => return,
        };
        let Some(inbox) = self.inbox_of(&response) else { return };
        let cost =
            u32::try_from(bytes).unwrap_or(u32::MAX).saturating_add(FRAME_BYTES_MIN).min(ANSWER_BYTES_MAX);
        // Dropping an answer drops what it holds, so that this waits no longer and its frames go nowhere.
        if let Ok(room) = inbox.room.acquire_many_owned(cost).await {
            inbox.held.try_send((response, room)).ok();
        }
    }

    /// Ends everything that is open.
    pub(super) fn close(&self, broken: Broken) {
        let mut state = self.state();
        let broken = state.last_words.take().unwrap_or(broken);
        for told in state.hellos.drain(..) {
            // Refused by one that no longer waits.
            told.send(Err(ClientError::Broken(broken.clone()))).ok();
        }
        state.broken = Some(broken);
        state.answers.clear();
        self.unsent_room.close();
    }

    /// Where `response` goes; a terminal one closes its request.
    fn inbox_of(&self, response: &Response) -> Option<Inbox> {
        let mut state = self.state();
        match response {
            Response::Error { id, code, message, .. } if id.is_empty() => {
                if *code == ErrorCode::InvalidRequest
                    && let Some(told) = state.hellos.pop_front()
                {
                    told.send(Err(ClientError::NoHello(message.clone()))).ok();
                    return None;
                }
                // It can only be meant for the one that is open; among several nobody knows.
                if state.answers.len() == 1 {
                    return state.answers.drain().next().map(|(_, inbox)| inbox);
                }
                state.last_words = Some(Broken::Said { code: *code, message: message.clone() });
                None
            }
            response if response.is_terminal() => state.answers.remove(response.id()),
            response => state.answers.get(response.id()).cloned(),
        }
    }

    fn tell(&self, hello: Result<Hello, ClientError>) {
        if let Some(told) = self.state().hellos.pop_front() {
            told.send(hello).ok();
        }
    }

    fn say(&self, state: &mut State, line: &[u8]) {
        state.unsent.bytes.extend_from_slice(line);
        self.to_write.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing here panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn accepting(&self) -> Result<(), Broken> {
        self.broken.clone().map_or(Ok(()), Err)
    }
}

fn inbox() -> (Inbox, mpsc::Receiver<Held>) {
    // The room runs out first: the channel is never full.
    let (held, frames) = mpsc::channel((ANSWER_BYTES_MAX / FRAME_BYTES_MIN) as usize);
    (Inbox { held, room: Arc::new(Semaphore::new(ANSWER_BYTES_MAX as usize)) }, frames)
}

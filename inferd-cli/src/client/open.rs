//! What is open on one connection: requests of either kind by id, hellos in order, and bytes not yet written.
//!
//! Invariants:
//! - An id leaves the table with its terminal frame only, so it cannot be used again while the daemon knows it.
//! - A cancel is written after its request.
//! - Once broken, nothing is accepted, and everything that was open has been told.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use inferd_proto::{DaemonFrame, ErrorCode, Hello, MAX_FRAME_BYTES, Response};
use serde::Serialize;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

use super::asker::{Asker, Held, Told, Wait, inbox, no_answer, wait};
use super::{Broken, ClientError};

/// Unsent requests, in bytes: one of the largest, or many small ones.
#[expect(clippy::cast_possible_truncation, reason = "64 MiB and a newline fit")]
const UNSENT_BYTES_MAX: u32 = MAX_FRAME_BYTES as u32 + 1;

pub(super) struct Open {
    state: Mutex<State>,
    to_write: Notify,
    /// Room for unsent requests; closed once broken.
    unsent_room: Semaphore,
}

#[derive(Default)]
struct State {
    open: HashMap<String, Asker>,
    hellos: VecDeque<Told<Hello>>,
    unsent: Unsent,
    /// The last error frame that named no request.
    last_words: Option<Broken>,
    broken: Option<Broken>,
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
        let (inbox, frames) = inbox();
        self.open(id, line, Asker::Reads(inbox)).await?;
        Ok(frames)
    }

    /// Opens a request that one frame answers, in the same way.
    pub(super) async fn single(&self, id: &str, line: &[u8]) -> Result<Wait, ClientError> {
        let (asker, wait) = wait();
        self.open(id, line, asker).await?;
        Ok(wait)
    }

    async fn open(&self, id: &str, line: &[u8], asker: Asker) -> Result<(), ClientError> {
        let room = u32::try_from(line.len()).unwrap_or(u32::MAX).min(UNSENT_BYTES_MAX);
        // Refused only when closed, and then `state.accepting` says why.
        let permit = self.unsent_room.acquire_many(room).await.ok();
        let mut state = self.state();
        state.accepting()?;
        match state.open.entry(id.to_owned()) {
            Entry::Occupied(_) => return Err(ClientError::IdInUse(id.to_owned())),
            Entry::Vacant(vacant) => vacant.insert(asker),
        };
        if let Some(permit) = permit {
            permit.forget();
            state.unsent.room += room as usize;
        }
        self.say(&mut state, line);
        Ok(())
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
        if !state.open.contains_key(id) {
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
            single => return self.give(single),
        };
        match self.asker_of(&response) {
            Some(Asker::Reads(inbox)) => inbox.hold(response, bytes).await,
            // Dropped by one that no longer waits.
            Some(Asker::Waits { told, .. }) => drop(told.send(Err(no_answer(response)))),
            None => {}
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
        for (_, asker) in state.open.drain() {
            if let Asker::Waits { told, .. } = asker {
                told.send(Err(ClientError::Broken(broken.clone()))).ok();
            }
        }
        state.broken = Some(broken);
        self.unsent_room.close();
    }

    /// Whose `response` is; a terminal one closes their request.
    fn asker_of(&self, response: &Response) -> Option<Asker> {
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
                if state.open.len() == 1 {
                    return state.open.drain().next().map(|(_, asker)| asker);
                }
                state.last_words = Some(Broken::Said { code: *code, message: message.clone() });
                None
            }
            response if response.is_terminal() => state.open.remove(response.id()),
            response => match state.open.get(response.id()) {
                Some(Asker::Reads(inbox)) => Some(Asker::Reads(inbox.clone())),
                Some(Asker::Waits { news, .. }) => {
                    // Full, or left by one that no longer looks: that is no news.
                    news.try_send(response.clone()).ok();
                    None
                }
                None => None,
            },
        }
    }

    fn give(&self, frame: DaemonFrame) {
        let asker = self.state().open.remove(frame.id());
        match asker {
            Some(Asker::Waits { told, .. }) => drop(told.send(Ok(frame))),
            // An answer's reader has no use for it, and the daemon none for the request.
            Some(Asker::Reads(_)) | None => {}
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

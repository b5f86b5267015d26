//! One connection to another daemon: many questions are open at once, each answered by one frame.
//!
//! Invariants:
//! - A question that is dropped before its answer is cancelled over there.
//! - No line is longer than [`MESSAGE_BYTES_MAX`]. What is unsent is what is asked, and a line for each that is cancelled.
//! - Once the connection is lost every question ends with the reason, and none is asked any more.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use inferd_proto::{Auth, DaemonFrame, ErrorCode, Hello, Lines, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::upstream::mcp::MESSAGE_BYTES_MAX;
use crate::upstream::session::{Fault, Progress};

/// Bytes read at once.
const READ_BYTES: usize = 16 * 1024;

/// See the module.
pub(super) struct Wire {
    open: Mutex<Open>,
    /// There is something to send.
    asked: Notify,
    /// Taken by whoever runs it.
    ends: tokio::sync::Mutex<Option<(Reader, OwnedWriteHalf)>>,
}

#[derive(Default)]
struct Open {
    next_id: u64,
    waiting: HashMap<String, Waiting>,
    unsent: Vec<u8>,
    lost: Option<String>,
}

/// Who waits for an answer.
struct Waiting {
    answer: oneshot::Sender<Result<DaemonFrame, Fault>>,
    progress: Option<mpsc::Sender<Progress>>,
}

impl Wire {
    /// Connects to `address`, and learns who is there.
    pub(super) async fn open(address: &str, key: Option<&SecretString>) -> Result<(Self, Hello), String> {
        let shown = |error: io::Error| format!("connect to {address}: {}", error.kind());
        let stream = TcpStream::connect(address).await.map_err(shown)?;
        stream.set_nodelay(true).map_err(shown)?;
        let (from, mut to) = stream.into_split();
        let mut greeting = Vec::new();
        if let Some(key) = key {
            push(&mut greeting, &Auth { key: key.expose_secret().to_owned() });
        }
        push(&mut greeting, &json!({ "type": "hello" }));
        to.write_all(&greeting).await.map_err(shown)?;
        let mut reader = Reader::new(from);
        let hello = match reader.frame().await {
            Ok(Some(DaemonFrame::Hello(hello))) => *hello,
            Ok(Some(_)) => return Err("it did not answer a hello with one".to_owned()),
            Ok(None) if key.is_some() => return Err("it refused our key".to_owned()),
            Ok(None) => return Err("it closed the connection: it may ask for a key".to_owned()),
            Err(reason) => return Err(reason),
        };
        let wire = Self { open: Mutex::default(), asked: Notify::new(), ends: Some((reader, to)).into() };
        Ok((wire, hello))
    }

    /// Asks `question`, an object without an id; the frame that answers it. What is said of its progress goes to `progress`.
    pub(super) async fn ask(
        &self,
        mut question: Value,
        progress: Option<mpsc::Sender<Progress>>,
    ) -> Result<DaemonFrame, Fault> {
        let (answer, answered) = oneshot::channel();
        let id = {
            let mut open = self.lock();
            if let Some(reason) = &open.lost {
                return Err(Fault::Lost(reason.clone()));
            }
            open.next_id += 1;
            let id = open.next_id.to_string();
            question["id"] = json!(id);
            push(&mut open.unsent, &question);
            open.waiting.insert(id.clone(), Waiting { answer, progress });
            id
        };
        self.asked.notify_one();
        let _cancel = Asked { wire: self, id };
        let gone = || Fault::Lost(self.lock().lost.clone().unwrap_or_default());
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Sends what is asked and hands out what is answered, until the connection is lost; why it was.
    pub(super) async fn run(&self) -> String {
        let Some((reader, writer)) = self.ends.lock().await.take() else {
            return std::future::pending().await;
        };
        let reason = tokio::select! {
            reason = self.hear(reader) => reason,
            error = self.say(writer) => error.kind().to_string(),
        };
        let mut open = self.lock();
        open.lost = Some(reason.clone());
        // Who waits finds the reason.
        open.waiting.clear();
        reason
    }

    async fn say(&self, mut writer: OwnedWriteHalf) -> io::Error {
        loop {
            self.asked.notified().await;
            let unsent = std::mem::take(&mut self.lock().unsent);
            if let Err(error) = writer.write_all(&unsent).await {
                return error;
            }
        }
    }

    async fn hear(&self, mut reader: Reader) -> String {
        loop {
            match reader.frame().await {
                Ok(Some(frame)) => self.take(frame),
                Ok(None) => return "it closed the connection".to_owned(),
                Err(reason) => return reason,
            }
        }
    }

    /// Gives a frame to whoever waits for it; nobody may any more.
    fn take(&self, frame: DaemonFrame) {
        let mut open = self.lock();
        if let DaemonFrame::Response(Response::Status { id, progress, .. }) = &frame {
            let told = open.waiting.get(id).and_then(|waiting| waiting.progress.as_ref());
            if let (Some(told), Some(said)) = (told, progress) {
                let said = said.clone();
                let said = Progress { progress: said.done, total: said.total, message: said.message };
                // Of progress only what there is room for is passed on.
                told.try_send(said).ok();
            }
            return;
        }
        let Some(waiting) = open.waiting.remove(frame.id()) else { return };
        drop(open);
        let answer = match frame {
            DaemonFrame::Response(Response::Error { code, message, .. }) => {
                let code = if code == ErrorCode::InvalidRequest { -32602 } else { -32603 };
                Err(Fault::Refused { code, message })
            }
            frame => Ok(frame),
        };
        // Whoever left meanwhile wants it no more.
        waiting.answer.send(answer).ok();
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // No code that can panic runs under this lock.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question that is open. Dropped before it is answered, it is cancelled.
struct Asked<'a> {
    wire: &'a Wire,
    id: String,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut open = self.wire.lock();
        if open.waiting.remove(&self.id).is_some() {
            push(&mut open.unsent, &json!({ "type": "cancel", "id": self.id }));
            drop(open);
            self.wire.asked.notify_one();
        }
    }
}

/// Frames as they come.
struct Reader {
    from: OwnedReadHalf,
    lines: Lines,
    read: Vec<u8>,
    taken: usize,
}

impl Reader {
    fn new(from: OwnedReadHalf) -> Self {
        Self { from, lines: Lines::new(MESSAGE_BYTES_MAX), read: Vec::new(), taken: 0 }
    }

    /// The next frame; `None`: there is none any more.
    async fn frame(&mut self) -> Result<Option<DaemonFrame>, String> {
        loop {
            let mut rest = &self.read[self.taken..];
            let line = self.lines.next(&mut rest).map_err(|error| error.to_string())?;
            self.taken = self.read.len() - rest.len();
            if let Some(line) = line {
                let frame = DaemonFrame::parse(line).map_err(|error| format!("no frame came: {error}"))?;
                return Ok(Some(frame));
            }
            self.read.resize(READ_BYTES, 0);
            let read = self.from.read(&mut self.read).await.map_err(|error| error.kind().to_string())?;
            self.read.truncate(read);
            self.taken = 0;
            if read == 0 {
                return Ok(None);
            }
        }
    }
}

fn push(out: &mut Vec<u8>, line: &impl serde::Serialize) {
    serde_json::to_writer(&mut *out, line).expect("plain data is JSON, and a Vec takes every byte");
    out.push(b'\n');
}

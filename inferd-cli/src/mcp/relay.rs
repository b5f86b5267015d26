//! Messages of the client go to the listener, what it says comes back, over any number of connections.
//!
//! Invariants:
//! - Every request is answered once: by the daemon, or with why it is not.
//! - A stream that breaks is taken up where it broke. A session that the daemon does not know any more is begun anew with
//!   the client's own words, which the client does not notice.

mod headers;
mod own;
mod stream;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::{Method, StatusCode};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep};

use super::http::{Lost, Place, Reply};
use super::message::{Kind, Message, failure};
use stream::Stream;

/// Lines that wait to be written.
const LINES_MAX: usize = 64;

/// How long to wait before coming back to a stream, unless the daemon says.
const COME_BACK: Duration = Duration::from_secs(1);

/// How long a daemon that is not there is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A JSON-RPC error of this side.
const INTERNAL: i64 = -32603;

/// Why a request is not answered by the daemon.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error(transparent)]
    Lost(#[from] Lost),
    /// It answered with no message.
    #[error("the daemon refused: {status}{}{said}", if said.is_empty() { "" } else { ": " })]
    Refused { status: StatusCode, said: String },
    /// Nobody reads what is said.
    #[error("nobody reads")]
    Deaf,
}

/// The session that is open.
#[derive(Debug, Clone, Default)]
struct Session {
    id: Option<String>,
    version: Option<String>,
    /// The client has said that it is ready.
    ready: bool,
    /// How many there were before.
    number: u64,
}

/// See the module.
pub(super) struct Relay {
    place: Place,
    out: mpsc::Sender<String>,
    session: watch::Sender<Session>,
    /// What the client began its session with.
    hello: Mutex<Option<Message>>,
    renewing: tokio::sync::Mutex<()>,
    /// Requests that are open, by the text of their id, each with what ends it here.
    open: Mutex<HashMap<String, oneshot::Sender<()>>>,
}

impl Relay {
    /// A relay to `place`, and what it has for the client.
    pub(super) fn new(place: Place) -> (Self, mpsc::Receiver<String>) {
        let (out, said) = mpsc::channel(LINES_MAX);
        let relay = Self {
            place,
            out,
            session: watch::Sender::default(),
            hello: Mutex::default(),
            renewing: tokio::sync::Mutex::default(),
            open: Mutex::default(),
        };
        (relay, said)
    }

    /// Tells the client a line; false: it does not listen.
    pub(super) async fn say(&self, line: String) -> bool {
        self.out.send(line).await.is_ok()
    }

    /// Passes on a request, and everything that comes of it.
    pub(super) async fn ask(&self, request: Message) {
        let (cancel, cancelled) = oneshot::channel();
        locked(&self.open).insert(request.id().to_string(), cancel);
        let answered = tokio::select! {
            answered = self.exchange(&request) => answered,
            // Who cancels a request wants no answer. Without a session its connection is all there is to end.
            Ok(()) = cancelled => return,
        };
        locked(&self.open).remove(&request.id().to_string());
        if let Err(error) = answered {
            self.say(failure(request.id(), INTERNAL, &error.to_string())).await;
        }
    }

    /// Passes on what is not answered.
    pub(super) async fn tell(&self, note: Message) {
        let cancelled = note.cancels().and_then(|id| locked(&self.open).remove(&id.to_string()));
        if let Err(error) = self.deliver(&note).await {
            eprintln!("inferd-cli: a message was not delivered: {error}");
        }
        if let Some(cancel) = cancelled {
            // Who has just been answered needs no cancelling.
            cancel.send(()).ok();
        }
        if note.is_initialized() {
            self.session.send_modify(|session| session.ready = true);
        }
    }

    async fn deliver(&self, note: &Message) -> Result<(), Unanswered> {
        // Without a session there is nobody to tell but by leaving.
        if note.cancels().is_some() && self.session.borrow().id.is_none() {
            return Ok(());
        }
        let reply = self.post(note).await?;
        let status = reply.status;
        if status.is_success() {
            return Ok(());
        }
        Err(Unanswered::Refused { status, said: reply.whole().await? })
    }

    async fn exchange(&self, request: &Message) -> Result<(), Unanswered> {
        let mut used = self.session.borrow().number;
        let mut reply = self.post(request).await?;
        if reply.status == StatusCode::NOT_FOUND
            && request.kind() == Kind::Request
            && request.version().is_none()
        {
            used = self.renew(used).await?;
            reply = self.post(request).await?;
        }
        if request.kind() == Kind::Initialize {
            *locked(&self.hello) = Some(request.clone());
            let id = headers::session(&reply.headers);
            self.session.send_modify(|session| {
                *session = Session { id, number: used + 1, ..Session::default() };
            });
        }
        if reply.status == StatusCode::OK && reply.is_stream() {
            return self.follow(request, reply).await;
        }
        let status = reply.status;
        let said = reply.whole().await?;
        match serde_json::from_str::<Value>(&said) {
            Ok(mut value) if value["jsonrpc"] == "2.0" => {
                value["id"] = request.id().clone();
                self.pass_on(request, &value, value.to_string()).await
            }
            _ => Err(Unanswered::Refused { status, said }),
        }
    }

    /// Sends a message. A daemon that is not there, as while it restarts, is waited for.
    async fn post(&self, message: &Message) -> Result<Reply, Lost> {
        let until = Instant::now() + PATIENCE;
        loop {
            let session = self.session.borrow().clone();
            let sent =
                self.place.send(Method::POST, headers::of(message, &session), message.line.clone()).await;
            match sent {
                Err(Lost::Connect(_)) if Instant::now() < until => sleep(COME_BACK).await,
                sent => return sent,
            }
        }
    }

    /// Passes on what comes of a request until its answer is among it.
    async fn follow(&self, request: &Message, reply: Reply) -> Result<(), Unanswered> {
        let mut stream = Stream::new(reply);
        loop {
            match stream.next().await {
                Ok(Some(event)) if event.is_message() => {
                    // What is no JSON is no message, and nobody's answer.
                    let Ok(value) = serde_json::from_str::<Value>(&event.data) else { continue };
                    let answers = request.is_answered_by(&value);
                    self.pass_on(request, &value, event.into_line(&value)).await?;
                    if answers {
                        return Ok(());
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(Lost::Broken | Lost::Silent) => self.come_back(&mut stream).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn pass_on(&self, request: &Message, value: &Value, line: String) -> Result<(), Unanswered> {
        if request.kind() == Kind::Initialize && request.is_answered_by(value) {
            let version = value["result"]["protocolVersion"].as_str().map(str::to_owned);
            self.session.send_modify(|session| session.version = version);
        }
        if self.say(line).await { Ok(()) } else { Err(Unanswered::Deaf) }
    }

    /// Takes up a stream where it broke.
    async fn come_back(&self, stream: &mut Stream) -> Result<(), Unanswered> {
        let cursor = stream.cursor.clone().ok_or(Lost::Broken)?;
        let until = Instant::now() + PATIENCE;
        loop {
            sleep(stream.come_back).await;
            let session = self.session.borrow().clone();
            match self.place.send(Method::GET, headers::read(&session, Some(&cursor)), String::new()).await {
                Ok(reply) if reply.status == StatusCode::OK => {
                    stream.go_on(reply);
                    return Ok(());
                }
                Ok(reply) => {
                    let status = reply.status;
                    return Err(Unanswered::Refused { status, said: reply.whole().await? });
                }
                Err(Lost::Connect(_) | Lost::Broken) if Instant::now() < until => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Ends the session.
    pub(super) async fn end(&self) {
        let session = self.session.borrow().clone();
        if session.id.is_some()
            && let Err(error) =
                self.place.send(Method::DELETE, headers::read(&session, None), String::new()).await
        {
            eprintln!("inferd-cli: the session was not ended: {error}");
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The exchanges of one session: a request and the stream of its answer, a notification, the session's own stream.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use inferd_engine::site::{Events, Reply, Site, SiteError};
use rmcp::model::{RequestId, ServerJsonRpcMessage, ServerResult};
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::super::MESSAGE_BYTES_MAX;
use super::super::ear::{Ear, too_long};

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const EITHER: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// The most bytes of a refusal that are read.
const REFUSAL_BYTES_MAX: usize = 4 * 1024;
/// How long to wait before coming back to a stream, unless the server says.
const COME_BACK: Duration = Duration::from_secs(1);
/// The longest wait that a server may ask for.
const COME_BACK_MAX: Duration = Duration::from_secs(30);
/// How often a stream without news is come back to before its request is given up.
const RETURNS_MAX: u32 = 8;

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(in super::super) struct HttpFault(pub(super) String);

pub(super) struct Exchange {
    site: Site,
    ear: Arc<Ear>,
    tell: mpsc::Sender<ServerJsonRpcMessage>,
    session: Mutex<HeaderMap>,
    open: Mutex<HashMap<RequestId, CancellationToken>>,
    begun: Notify,
}

impl Exchange {
    pub(super) fn new(site: Site, ear: Arc<Ear>, tell: mpsc::Sender<ServerJsonRpcMessage>) -> Self {
        let (session, open) = (Mutex::default(), Mutex::default());
        Self { site, ear, tell, session, open, begun: Notify::new() }
    }

    /// Sends a request and hears its answer out, unless it is left.
    pub(super) async fn ask(&self, id: RequestId, body: Vec<u8>) -> Result<(), HttpFault> {
        let left = CancellationToken::new();
        lock(&self.open).insert(id.clone(), left.clone());
        let answered = left.run_until_cancelled(self.answer(&id, body)).await;
        lock(&self.open).remove(&id);
        answered.unwrap_or(Ok(()))
    }

    /// Sends what is not answered.
    pub(super) async fn tell(&self, body: Vec<u8>) -> Result<(), HttpFault> {
        let reply = self.post(body).await?;
        if reply.status.is_success() { Ok(()) } else { Err(self.refused(reply).await) }
    }

    /// Nobody waits for this answer any more: its connection is closed.
    pub(super) fn leave(&self, id: &RequestId) {
        if let Some(left) = lock(&self.open).get(id) {
            left.cancel();
        }
    }

    /// There is a session, whose own stream can be listened to.
    pub(super) fn begun(&self) {
        self.begun.notify_one();
    }

    /// Tells the server that the session is over.
    pub(super) async fn end(&self) {
        let headers = lock(&self.session).clone();
        if headers.contains_key(SESSION_ID)
            && let Err(error) = self.site.send(Method::DELETE, headers, Bytes::new()).await
        {
            tracing::debug!(server = self.ear.server, %error, "the end of a session was not taken");
        }
    }

    /// Hears what the server says of its own accord, as long as it has a stream for that.
    pub(super) async fn listen(&self) {
        self.begun.notified().await;
        let mut last_id: Option<String> = None;
        loop {
            let reply = match self.get(last_id.as_deref()).await {
                Ok(reply) => reply,
                // The reason is noted where the connection is of no more use.
                Err(HttpFault(error)) => {
                    tracing::debug!(server = self.ear.server, error, "the stream of a session broke");
                    return;
                }
            };
            if reply.status != StatusCode::OK || !is(&reply.headers, &EVENTS) {
                tracing::debug!(server = self.ear.server, status = %reply.status, "it has no stream of its own");
                return;
            }
            let mut events = reply.events(MESSAGE_BYTES_MAX);
            while let Ok(Some(data)) = events.next().await {
                if let Some(message) = self.ear.hear(&data)
                    && self.tell.send(message).await.is_err()
                {
                    return;
                }
            }
            last_id = events.last_id().map(str::to_owned).or(last_id);
            sleep(events.retry().unwrap_or(COME_BACK).min(COME_BACK_MAX)).await;
        }
    }

    async fn answer(&self, id: &RequestId, body: Vec<u8>) -> Result<(), HttpFault> {
        let reply = self.post(body).await?;
        if !reply.status.is_success() {
            return Err(self.refused(reply).await);
        }
        if let Some(session) = reply.headers.get(SESSION_ID) {
            lock(&self.session).insert(SESSION_ID, session.clone());
        }
        if is(&reply.headers, &EVENTS) {
            return self.follow(id, reply.events(MESSAGE_BYTES_MAX)).await;
        }
        if !is(&reply.headers, &JSON) {
            return Err(HttpFault(format!("it answered HTTP {} with no message", reply.status.as_u16())));
        }
        match reply.read(MESSAGE_BYTES_MAX).await {
            Ok(body) => match self.ear.hear(&body) {
                Some(message) => self.heard(message).await,
                None => Err(HttpFault("it answered with what is no message".to_owned())),
            },
            Err(SiteError::TooLong(_)) => self.heard(too_long(id.clone())).await,
            Err(error) => Err(self.broken(&error)),
        }
    }

    /// Hears a stream until the answer to `id`, coming back to it where it ends before.
    async fn follow(&self, id: &RequestId, mut events: Events) -> Result<(), HttpFault> {
        let (mut last_id, mut returns): (Option<String>, u32) = (None, 0);
        loop {
            let ended = loop {
                match events.next().await {
                    Ok(Some(data)) => {
                        returns = 0;
                        let Some(message) = self.ear.hear(&data) else { continue };
                        let answers = answers(&message, id);
                        self.heard(message).await?;
                        if answers {
                            events.finish();
                            return Ok(());
                        }
                    }
                    Ok(None) => break Ok(()),
                    Err(SiteError::TooLong(_)) => return self.heard(too_long(id.clone())).await,
                    Err(error) => break Err(error),
                }
            };
            last_id = events.last_id().map(str::to_owned).or(last_id);
            let Some(cursor) = last_id.as_deref().filter(|_| returns < RETURNS_MAX) else {
                return Err(match ended {
                    Ok(()) => HttpFault("its stream ended before its answer".to_owned()),
                    Err(error) => self.broken(&error),
                });
            };
            if ended.is_ok() || returns > 0 {
                sleep(events.retry().unwrap_or(COME_BACK).min(COME_BACK_MAX)).await;
            }
            returns += 1;
            let reply = self.get(Some(cursor)).await?;
            if reply.status != StatusCode::OK || !is(&reply.headers, &EVENTS) {
                return Err(self.refused(reply).await);
            }
            events = reply.events(MESSAGE_BYTES_MAX);
        }
    }

    async fn heard(&self, message: ServerJsonRpcMessage) -> Result<(), HttpFault> {
        if let ServerJsonRpcMessage::Response(response) = &message
            && let ServerResult::InitializeResult(result) = &response.result
            && let Ok(version) = HeaderValue::from_str(result.protocol_version.as_str())
        {
            lock(&self.session).insert(VERSION, version);
        }
        self.tell.send(message).await.map_err(|_| HttpFault("the session is over".to_owned()))
    }

    async fn post(&self, body: Vec<u8>) -> Result<Reply, HttpFault> {
        let mut headers = lock(&self.session).clone();
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(ACCEPT, EITHER);
        self.send(Method::POST, headers, body).await
    }

    async fn get(&self, last_id: Option<&str>) -> Result<Reply, HttpFault> {
        let mut headers = lock(&self.session).clone();
        headers.insert(ACCEPT, EVENTS);
        if let Some(id) = last_id.and_then(|id| HeaderValue::from_str(id).ok()) {
            headers.insert(LAST_EVENT_ID, id);
        }
        self.send(Method::GET, headers, Vec::new()).await
    }

    async fn send(&self, method: Method, headers: HeaderMap, body: Vec<u8>) -> Result<Reply, HttpFault> {
        let had_session = headers.contains_key(SESSION_ID);
        let reply =
            self.site.send(method, headers, body.into()).await.map_err(|error| self.broken(&error))?;
        if reply.status == StatusCode::NOT_FOUND && had_session {
            self.ear.end("it has forgotten the session (HTTP 404)");
        }
        Ok(reply)
    }

    /// An exchange that failed; where nobody was reached, there is nothing left to talk to.
    fn broken(&self, error: &SiteError) -> HttpFault {
        if let SiteError::Unreachable(reason) = error {
            self.ear.end(reason.clone());
        }
        HttpFault(error.to_string())
    }

    async fn refused(&self, reply: Reply) -> HttpFault {
        let status = reply.status;
        let said = reply.read_beginning(REFUSAL_BYTES_MAX).await;
        let said = self.site.shown(&String::from_utf8_lossy(&said));
        let credentials = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "it refused our credentials: ",
            _ => "",
        };
        let colon = if said.is_empty() { "" } else { ": " };
        HttpFault(format!("{credentials}HTTP {}{colon}{said}", status.as_u16()))
    }
}

/// Whether the body is of this kind.
fn is(headers: &HeaderMap, kind: &HeaderValue) -> bool {
    let said = headers.get(CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
    let said = said.split(|&byte| byte == b';').next().unwrap_or_default();
    said.trim_ascii().eq_ignore_ascii_case(kind.as_bytes())
}

fn answers(message: &ServerJsonRpcMessage, id: &RequestId) -> bool {
    match message {
        ServerJsonRpcMessage::Response(response) => response.id == *id,
        ServerJsonRpcMessage::Error(error) => error.id.as_ref() == Some(id),
        _ => false,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that can panic runs under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

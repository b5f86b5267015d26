//! rmcp's session manager over our sessions: a client's messages enter, the server's leave on the session's streams.
//!
//! ```text
//! POST ─▶ create_stream ─▶ inbox ─▶ rmcp's service ─▶ transport ─▶ route ─▶ streams ─▶ reader ─▶ the response
//! ```
//!
//! A response is not written from what rmcp is given back, which can neither name events nor leave their ids out: the
//! reader of the stream is handed over to [`super::http`], for which the request is served within a [`handover`].
//!
//! Invariants:
//! - A session is made by `initialize` alone. It is its principal's: for another one it is not there.
//! - What a call says outlives the connection it came on; a cancelled call is not answered.
//! - A call that nobody has waited for in [`UNREAD`] is cancelled, so that no slot is held for a client that is gone.
//! - A session that ends takes its service with it.

pub(crate) mod handover;
mod hangup;
pub(crate) mod restore;
mod route;
mod transport;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{Stream, stream};
use rmcp::ErrorData;
use rmcp::model::{
    CancelledNotification, CancelledNotificationParam, ClientJsonRpcMessage, ClientNotification,
    ClientRequest, GetExtensions, JsonRpcError, JsonRpcRequest, ServerJsonRpcMessage,
};
use rmcp::transport::streamable_http_server::session::{
    RestoreOutcome, ServerSseMessage, SessionId as WireId, SessionManager,
};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

use super::session::{Reader, SWEEP, SessionId, SessionState, SessionStore, StoreFull, StreamId, UNREAD};
pub use hangup::Hangup;
use route::Routes;
use transport::SessionTransport;

/// Messages of a client that wait for its session's service.
const INBOX: usize = 64;

/// Why a session's manager cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManagerError {
    /// There is no room for another session.
    #[error(transparent)]
    Full(#[from] StoreFull),
    /// There is no such session, or not for this principal.
    #[error("there is no such session")]
    NoSession,
    /// `initialize` was not answered.
    #[error("the session ended before it began")]
    Unanswered,
}

/// All sessions that are served by this process.
#[derive(Debug)]
pub(crate) struct Manager {
    store: SessionStore,
    served: Mutex<HashMap<SessionId, Arc<Served>>>,
    /// The services of sessions, which rmcp runs: what waits for the daemon's tasks waits for them.
    tasks: TaskTracker,
}

/// A session and what serves it.
#[derive(Debug)]
struct Served {
    session: Arc<SessionState>,
    inbox: mpsc::Sender<ClientJsonRpcMessage>,
    routes: Arc<Routes>,
}

/// The session whose client is ready, found among the extensions of `notifications/initialized`.
#[derive(Debug, Clone)]
pub(crate) struct Home(pub(crate) Arc<SessionState>);

impl Manager {
    pub(crate) fn new(store: SessionStore, tasks: TaskTracker) -> Self {
        Self { store, served: Mutex::default(), tasks }
    }

    /// The session of this id, if it is there and of the principal who asks.
    fn find(&self, id: &str) -> Result<Arc<Served>, ManagerError> {
        let session = self.session(id).ok_or(ManagerError::NoSession)?;
        self.served().get(&session).map(Arc::clone).ok_or(ManagerError::NoSession)
    }

    /// The id, if its session is there and of the principal who asks.
    fn session(&self, id: &str) -> Option<SessionId> {
        let id = SessionId::parse(id)?;
        self.store.get(&id, &handover::principal()?, Instant::now()).map(|_| id)
    }

    fn end(&self, id: &SessionId) {
        if let Some(session) = self.store.find(id, Instant::now())
            && !self.store.delete(id, session.principal())
        {
            tracing::debug!("a session was ended twice at once");
        }
    }

    fn served(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Served>>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to serve a session.
    fn serve(&self, id: SessionId, session: Arc<SessionState>) -> SessionTransport {
        let (inbox, messages) = mpsc::channel(INBOX);
        let routes = Arc::new(Routes::new(Arc::clone(&session)));
        let transport =
            SessionTransport { inbox: messages, routes: Arc::clone(&routes), _task: self.tasks.token() };
        self.served().insert(id, Arc::new(Served { session, inbox, routes }));
        transport
    }

    /// Ends calls that nobody waits for any more, every now and then, for ever.
    pub(crate) async fn end_unread(self: Arc<Self>) {
        loop {
            sleep(SWEEP).await;
            let Some(before) = Instant::now().checked_sub(UNREAD) else { continue };
            let served: Vec<_> = self.served().values().map(Arc::clone).collect();
            for served in served {
                served.end_unread(before);
            }
        }
    }

    /// Reads a stream of a session for the request that is served.
    fn hand_over(
        &self,
        id: &str,
        read: impl FnOnce(&Arc<SessionState>) -> Option<Reader>,
    ) -> Result<(), ManagerError> {
        let served = self.find(id)?;
        let reader = read(&served.session).ok_or(ManagerError::NoSession)?;
        handover::give(reader);
        Ok(())
    }
}

impl Served {
    fn end_unread(&self, before: Instant) {
        for id in self.routes.unread_since(before) {
            let cancelled = CancelledNotificationParam::new(Some(id.clone()), Some("unread".to_owned()));
            let cancelled = CancelledNotification::new(cancelled).into();
            // Where the service is behind, the next look is early enough.
            if self.inbox.try_send(ClientJsonRpcMessage::notification(cancelled)).is_ok() {
                tracing::debug!(%id, "a call was ended: nobody waits for it");
                self.routes.give_up(&id);
            }
        }
    }

    /// Opens the stream of a call and passes the call on.
    async fn call(&self, mut call: JsonRpcRequest<ClientRequest>) -> Result<Reader, JsonRpcError> {
        let refused =
            |reason: String, id| JsonRpcError::new(Some(id), ErrorData::invalid_request(reason, None));
        let id = call.id.clone();
        let stream = self.routes.begin(&call).map_err(|error| refused(error.to_string(), id.clone()))?;
        let Some(reader) = self.session.read(stream) else {
            return Err(refused("the session has ended".to_owned(), id));
        };
        call.request.extensions_mut().insert(Hangup::new(Arc::clone(&self.session), stream));
        if self.inbox.send(ClientJsonRpcMessage::Request(call)).await.is_err() {
            self.routes.abandon(&id);
            return Err(refused("the session has ended".to_owned(), id));
        }
        Ok(reader)
    }
}

type Messages = stream::Iter<std::option::IntoIter<ServerSseMessage>>;

/// What rmcp is given for a response that is written elsewhere.
fn nothing() -> Messages {
    stream::iter(None)
}

impl SessionManager for Manager {
    type Error = ManagerError;
    type Transport = SessionTransport;

    async fn create_session(&self) -> Result<(WireId, SessionTransport), ManagerError> {
        let now = Instant::now();
        let principal = handover::principal().ok_or(ManagerError::NoSession)?;
        let session = SessionState::new(principal.clone(), None, now);
        let id = self.store.insert(session, now).inspect_err(|full| handover::refuse(*full))?;
        let session = self.store.get(&id, &principal, now).ok_or(ManagerError::NoSession)?;
        handover::keep(session.hold());
        self.served().retain(|_, served| !served.session.ended().is_cancelled());
        Ok((id.to_string().into(), self.serve(id, session)))
    }

    async fn initialize_session(
        &self,
        id: &WireId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, ManagerError> {
        let served = self.find(id)?;
        if let ClientJsonRpcMessage::Request(request) = &message
            && let ClientRequest::InitializeRequest(initialize) = &request.request
        {
            served.session.set_initialize(as_value(&initialize.params));
        }
        let greeting = served.routes.await_greeting();
        served.inbox.send(message).await.map_err(|_| ManagerError::Unanswered)?;
        let ended = served.session.ended().clone();
        drop(served);
        match ended.run_until_cancelled(greeting).await {
            Some(Ok(greeting)) => Ok(greeting),
            Some(Err(_)) | None => Err(ManagerError::Unanswered),
        }
    }

    async fn has_session(&self, id: &WireId) -> Result<bool, ManagerError> {
        Ok(self.find(id).is_ok())
    }

    async fn close_session(&self, id: &WireId) -> Result<(), ManagerError> {
        let Some(id) = SessionId::parse(id) else {
            handover::miss();
            return Err(ManagerError::NoSession);
        };
        match handover::principal() {
            Some(principal) if self.store.delete(&id, &principal) => {}
            Some(_) => {
                handover::miss();
                return Err(ManagerError::NoSession);
            }
            // Its service has ended; most often because the session has.
            None => self.end(&id),
        }
        self.served().remove(&id);
        Ok(())
    }

    async fn create_stream(
        &self,
        id: &WireId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, ManagerError> {
        let served = self.find(id)?;
        let ClientJsonRpcMessage::Request(call) = message else { return Ok(nothing()) };
        Ok(match served.call(call).await {
            Ok(reader) => {
                handover::give(reader);
                nothing()
            }
            Err(refusal) => {
                stream::iter(Some(ServerSseMessage::from_message(ServerJsonRpcMessage::Error(refusal))))
            }
        })
    }

    async fn accept_message(&self, id: &WireId, message: ClientJsonRpcMessage) -> Result<(), ManagerError> {
        let served = self.find(id)?;
        served.routes.heard(&message);
        let mut message = message;
        if let ClientJsonRpcMessage::Notification(said) = &mut message
            && let ClientNotification::InitializedNotification(ready) = &mut said.notification
        {
            ready.extensions.insert(Home(Arc::clone(&served.session)));
        }
        served.inbox.send(message).await.map_err(|_| ManagerError::NoSession)
    }

    async fn create_standalone_stream(
        &self,
        id: &WireId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, ManagerError> {
        self.hand_over(id, |session| session.read(StreamId::STANDALONE))?;
        Ok(nothing())
    }

    async fn restore_session(&self, id: WireId) -> Result<RestoreOutcome<SessionTransport>, ManagerError> {
        let known = self.session(&id).ok_or(ManagerError::NoSession)?;
        let principal = handover::principal().ok_or(ManagerError::NoSession)?;
        if self.find(&id).is_ok() {
            return Ok(RestoreOutcome::AlreadyPresent);
        }
        let session = self.store.get(&known, &principal, Instant::now()).ok_or(ManagerError::NoSession)?;
        Ok(RestoreOutcome::Restored(self.serve(known, session)))
    }

    async fn resume(
        &self,
        id: &WireId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, ManagerError> {
        self.hand_over(id, |session| Some(session.resume(&last_event_id)))?;
        Ok(nothing())
    }
}

/// What the protocol says, as events carry it.
fn as_value(said: &impl Serialize) -> Value {
    serde_json::to_value(said).expect("what the protocol says is JSON")
}

//! Which stream a message of the server's goes to. Exactly one: a call's own stream has its answer and what belongs to
//! it, the standalone one all else.
//!
//! Invariants:
//! - A call's stream ends with its answer, or when the client cancels it or has been away for [`UNREAD`].
//! - An answer to no open call goes nowhere: its caller took the call back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::ErrorData;
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientRequest, GetExtensions, GetMeta, JsonRpcError,
    JsonRpcRequest, ProgressToken, RequestId, ServerJsonRpcMessage, ServerNotification,
};
use rmcp::service::OriginatingRequestId;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::as_value;
use crate::mcp::session::{EventKind, SessionState, StreamId, TooManyStreams, UNREAD};

/// Requests of the server's that wait for the client and whose streams are remembered.
const ASKED_MAX: usize = 1024;

/// Why a call has no stream.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoStream {
    #[error("a request with this id is not answered yet")]
    InUse,
    #[error(transparent)]
    TooMany(#[from] TooManyStreams),
}

#[derive(Debug)]
pub(super) struct Routes {
    session: Arc<SessionState>,
    open: Mutex<Open>,
}

/// What is open in a session.
#[derive(Debug, Default)]
struct Open {
    calls: HashMap<RequestId, Call>,
    tokens: HashMap<ProgressToken, StreamId>,
    /// Where the server asked the client something, by the server's id.
    asked: HashMap<RequestId, StreamId>,
    /// Who waits for the answer to `initialize`.
    greeting: Option<oneshot::Sender<ServerJsonRpcMessage>>,
}

#[derive(Debug)]
struct Call {
    stream: StreamId,
    token: Option<ProgressToken>,
}

impl Routes {
    pub(super) fn new(session: Arc<SessionState>) -> Self {
        Self { session, open: Mutex::default() }
    }

    pub(super) fn session(&self) -> &SessionState {
        &self.session
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next answer is that to `initialize`, and goes here.
    pub(super) fn await_greeting(&self) -> oneshot::Receiver<ServerJsonRpcMessage> {
        let (to, greeting) = oneshot::channel();
        self.open().greeting = Some(to);
        greeting
    }

    /// Opens the stream of a call.
    ///
    /// # Errors
    /// [`NoStream`].
    pub(super) fn begin(&self, call: &JsonRpcRequest<ClientRequest>) -> Result<StreamId, NoStream> {
        let mut open = self.open();
        if open.calls.contains_key(&call.id) {
            return Err(NoStream::InUse);
        }
        let stream = self.session.open_stream(Some(call.id.clone().into_json_value()))?;
        let token = call.request.get_meta().get_progress_token();
        if let Some(token) = &token {
            open.tokens.insert(token.clone(), stream);
        }
        open.calls.insert(call.id.clone(), Call { stream, token });
        Ok(stream)
    }

    /// Ends the stream of a call that will not be answered.
    pub(super) fn abandon(&self, id: &RequestId) {
        if let Some(stream) = self.open().close(id) {
            self.session.finish_stream(stream, None);
        }
    }

    /// The calls whose streams nobody has read since `before`.
    pub(super) fn unread_since(&self, before: Instant) -> Vec<RequestId> {
        let unread = self.session.unread_since(before);
        let open = self.open();
        let calls = open.calls.iter().filter(|(_, call)| unread.contains(&call.stream));
        calls.map(|(id, _)| id.clone()).collect()
    }

    /// Answers a call that nobody waits for: who comes back after all is told why it ended.
    pub(super) fn give_up(&self, id: &RequestId) {
        let reason = format!("the call was ended: nobody had waited for it for {} s", UNREAD.as_secs());
        let answer = JsonRpcError::new(Some(id.clone()), ErrorData::internal_error(reason, None));
        if let Some(stream) = self.open().close(id) {
            let answer = as_value(&ServerJsonRpcMessage::Error(answer));
            self.session.finish_stream(stream, Some(Arc::new(answer)));
        }
    }

    /// Takes note of what the client says besides its calls.
    pub(super) fn heard(&self, message: &ClientJsonRpcMessage) {
        match message {
            ClientJsonRpcMessage::Response(response) => {
                self.open().asked.remove(&response.id);
            }
            ClientJsonRpcMessage::Error(error) => {
                if let Some(id) = &error.id {
                    self.open().asked.remove(id);
                }
            }
            ClientJsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.abandon(id);
                }
            }
            ClientJsonRpcMessage::Request(_) => {}
        }
    }

    /// Publishes what the server says, where it belongs.
    pub(super) fn say(&self, message: ServerJsonRpcMessage) {
        let mut open = self.open();
        let answered = match &message {
            ServerJsonRpcMessage::Response(response) => Some(&response.id),
            ServerJsonRpcMessage::Error(error) => error.id.as_ref(),
            ServerJsonRpcMessage::Request(_) | ServerJsonRpcMessage::Notification(_) => {
                let (stream, kind) = open.aside(&message);
                return self.publish(stream, kind, &message);
            }
        };
        if let Some(to) = open.greeting.take() {
            // Who waited may have gone; then nobody wants to know.
            drop(to.send(message));
            return;
        }
        match answered.and_then(|id| open.close(id)) {
            Some(stream) => {
                self.session.finish_stream(stream, Some(Arc::new(as_value(&message))));
            }
            None => tracing::debug!("an answer to no open call was dropped"),
        }
    }

    /// The lock is held, so that messages are published in the order they were said.
    fn publish(&self, stream: StreamId, kind: EventKind, message: &ServerJsonRpcMessage) {
        let event = Arc::new(as_value(message));
        if self.session.publish_on(stream, kind, Arc::clone(&event)).is_none() {
            self.session.publish_event(kind, event);
        }
    }
}

impl Open {
    /// The stream of a call that is over.
    fn close(&mut self, id: &RequestId) -> Option<StreamId> {
        let call = self.calls.remove(id)?;
        if let Some(token) = &call.token
            && self.tokens.get(token) == Some(&call.stream)
        {
            self.tokens.remove(token);
        }
        Some(call.stream)
    }

    /// Where a message goes that is no answer, and as what.
    fn aside(&mut self, message: &ServerJsonRpcMessage) -> (StreamId, EventKind) {
        let (stream, kind) = match message {
            ServerJsonRpcMessage::Request(request) => {
                let origin = request.request.extensions().get::<OriginatingRequestId>();
                let stream = origin.and_then(|origin| self.calls.get(&origin.0)).map(|call| call.stream);
                if let Some(stream) = stream
                    && self.asked.len() < ASKED_MAX
                {
                    self.asked.insert(request.id.clone(), stream);
                }
                (stream, EventKind::Message)
            }
            ServerJsonRpcMessage::Notification(notification) => match &notification.notification {
                ServerNotification::ProgressNotification(progress) => {
                    (self.tokens.get(&progress.params.progress_token).copied(), EventKind::Progress)
                }
                ServerNotification::CancelledNotification(cancelled) => {
                    let asked = cancelled.params.request_id.as_ref().and_then(|id| self.asked.remove(id));
                    (asked, EventKind::Message)
                }
                ServerNotification::LoggingMessageNotification(_) => (None, EventKind::Progress),
                _ => (None, EventKind::Message),
            },
            ServerJsonRpcMessage::Response(_) | ServerJsonRpcMessage::Error(_) => (None, EventKind::Message),
        };
        (stream.unwrap_or(StreamId::STANDALONE), kind)
    }
}

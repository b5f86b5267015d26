//! Messages over streamable HTTP: each goes out as a POST of its own; what comes back, and what comes on the stream of the
//! session, is heard.
//!
//! There is no task here: a POST lives in the future in which rmcp sends it, its answer included, and the session's stream
//! in the one in which rmcp receives. So an exchange that fails fails its own request, and the end of the session ends all.
//!
//! Invariants:
//! - No request is sent twice. A stream that breaks is taken up where it broke; that repeats nothing.
//! - A session that the server has forgotten ends here, and a new one is a new connection.

mod exchange;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use inferd_engine::site::Site;
use rmcp::RoleClient;
use rmcp::model::{ClientJsonRpcMessage, ClientNotification, RequestId, ServerJsonRpcMessage};
use rmcp::transport::Transport;
use secrecy::SecretString;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::ear::Ear;
use exchange::{Exchange, HttpFault};

/// Messages that may wait to be taken.
const HEARD_MAX: usize = 64;
/// How long what has no answer may take to be taken.
const NOTICE_PATIENCE: Duration = Duration::from_secs(10);
/// How long the end of a session may take to be told.
const FAREWELL_PATIENCE: Duration = Duration::from_secs(1);

/// One session with a server, or what is to become one.
pub(super) struct Http {
    exchange: Arc<Exchange>,
    heard: mpsc::Receiver<ServerJsonRpcMessage>,
    /// The session's own stream, as long as there is one.
    listening: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    ear: Arc<Ear>,
}

/// What becomes of a message that is sent.
enum Errand {
    Ask(RequestId),
    Cancel(Option<RequestId>),
    /// From here on there is a session to listen to.
    Begun,
    Tell,
}

impl Http {
    /// Prepares for the server at `url`, which is shown `key`. Nothing is sent yet.
    pub(super) fn new(
        url: &str,
        key: Option<&SecretString>,
        connect_timeout: Duration,
        ear: Arc<Ear>,
    ) -> Result<Self, String> {
        let site = Site::new(url, key, connect_timeout).map_err(|error| error.to_string())?;
        let (tell, heard) = mpsc::channel(HEARD_MAX);
        let exchange = Arc::new(Exchange::new(site, Arc::clone(&ear), tell));
        let listener = Arc::clone(&exchange);
        let listening: Pin<Box<dyn Future<Output = ()> + Send>> =
            Box::pin(async move { listener.listen().await });
        Ok(Self { exchange, heard, listening: Some(listening), ear })
    }
}

impl Errand {
    fn of(message: &ClientJsonRpcMessage) -> Self {
        match message {
            ClientJsonRpcMessage::Request(request) => Self::Ask(request.id.clone()),
            ClientJsonRpcMessage::Notification(notice) => match &notice.notification {
                ClientNotification::CancelledNotification(cancelled) => {
                    Self::Cancel(cancelled.params.request_id.clone())
                }
                ClientNotification::InitializedNotification(_) => Self::Begun,
                _ => Self::Tell,
            },
            ClientJsonRpcMessage::Response(_) | ClientJsonRpcMessage::Error(_) => Self::Tell,
        }
    }
}

impl Transport<RoleClient> for Http {
    type Error = HttpFault;

    fn send(
        &mut self,
        message: ClientJsonRpcMessage,
    ) -> impl Future<Output = Result<(), HttpFault>> + Send + 'static {
        self.ear.note(&message);
        let exchange = Arc::clone(&self.exchange);
        async move {
            let body = serde_json::to_vec(&message).map_err(|error| HttpFault(error.to_string()))?;
            let errand = Errand::of(&message);
            if let Errand::Ask(id) = errand {
                return exchange.ask(id, body).await;
            }
            let told = timeout(NOTICE_PATIENCE, exchange.tell(body)).await;
            match errand {
                Errand::Cancel(Some(id)) => exchange.leave(&id),
                Errand::Begun => exchange.begun(),
                Errand::Ask(_) | Errand::Cancel(None) | Errand::Tell => {}
            }
            told.unwrap_or_else(|_| Err(HttpFault("a notification was not taken in time".to_owned())))
        }
    }

    /// May be dropped at any time: what is under way stays in `self`.
    async fn receive(&mut self) -> Option<ServerJsonRpcMessage> {
        loop {
            let listening = async {
                match &mut self.listening {
                    Some(listening) => listening.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // An answer that is here counts, even if nothing comes after it.
                biased;
                message = self.heard.recv() => return message,
                _ = self.ear.ended() => return None,
                () = listening => self.listening = None,
            }
        }
    }

    async fn close(&mut self) -> Result<(), HttpFault> {
        self.listening = None;
        if self.ear.reason().is_none() && timeout(FAREWELL_PATIENCE, self.exchange.end()).await.is_err() {
            tracing::debug!(server = self.ear.server, "the end of a session was not taken in time");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

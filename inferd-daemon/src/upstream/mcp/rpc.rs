//! A session of rmcp's client: questions enter, raw results leave.
//!
//! Invariants:
//! - A question that is dropped is cancelled at the server, by a queue that the session itself works off.
//! - Closing waits for all that belongs to it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rmcp::model::{
    ClientCapabilities, ClientConfig, ClientRequest, CustomRequest, ErrorData, Implementation, PingRequest,
    ProgressToken, ProtocolVersion, RequestId, ServerCapabilities, ServerResult,
};
use rmcp::service::{
    ClientInitializeError, Peer, PeerRequestOptions, RequestHandle, RoleClient, RunningService, ServiceError,
};
use rmcp::transport::Transport;
use rmcp::{ClientHandler, ServiceExt};
use serde_json::{Map, Value, json};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::timeout;

use super::super::session::{Ask, Fault, List, Progress, Session};
use super::child::Child;
use super::ear::{Ear, Told};

/// Cancellations that may wait to be sent.
const CANCELS_MAX: usize = 256;
/// How long one may take to be sent.
const CANCEL_PATIENCE: Duration = Duration::from_secs(5);
/// How long the protocol's own end may take.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);
/// How long to wait for a better reason than that the output has ended.
const REASON_PATIENCE: Duration = Duration::from_millis(200);

/// Who we are to a server: a client that can do nothing for it.
#[derive(Debug, Clone)]
struct Guest;

impl ClientHandler for Guest {
    fn get_info(&self) -> ClientConfig {
        let own = Implementation::new("inferd", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), own)
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }
}

/// A session, over whatever carries it.
pub(super) struct Rpc {
    peer: Peer<RoleClient>,
    running: Mutex<Option<RunningService<RoleClient, Guest>>>,
    capabilities: ServerCapabilities,
    ear: Arc<Ear>,
    cancel: mpsc::Sender<RequestId>,
    cancels: Mutex<mpsc::Receiver<RequestId>>,
    child: Option<Child>,
}

impl Rpc {
    /// Shakes hands over `transport`, on whose other end may be `child`.
    pub(super) async fn begin<T: Transport<RoleClient> + 'static>(
        transport: T,
        ear: Arc<Ear>,
        child: Option<Child>,
    ) -> Result<Self, String> {
        let begun = tokio::select! {
            begun = Guest.serve(transport) => begun,
            reason = end_of(child.as_ref(), &ear) => return Err(reason),
        };
        let running = match begun {
            Ok(running) => running,
            Err(error) => return Err(refused(&error, child.as_ref(), &ear).await),
        };
        let peer = running.peer().clone();
        let capabilities = peer.peer_info().map(|info| info.capabilities.clone()).unwrap_or_default();
        let (cancel, cancels) = mpsc::channel(CANCELS_MAX);
        let (running, cancels) = (Mutex::new(Some(running)), Mutex::new(cancels));
        Ok(Self { peer, running, capabilities, ear, cancel, cancels, child })
    }

    /// Asks once, and waits for as long as it takes.
    async fn request(&self, request: ClientRequest) -> Result<Value, Fault> {
        let sent = self.peer.send_cancellable_request(request, PeerRequestOptions::no_options()).await;
        let handle = sent.map_err(|error| self.fault(error))?;
        let mut open = Open { id: Some(handle.id.clone()), token: handle.progress_token.clone(), rpc: self };
        let RequestHandle { rx, .. } = handle;
        let answer = rx.await;
        open.id = None;
        match answer {
            Ok(Ok(ServerResult::CustomResult(result))) => Ok(result.0),
            Ok(Ok(_)) => Ok(json!({})),
            Ok(Err(error)) => Err(self.fault(error)),
            Err(_) => Err(self.lost()),
        }
    }

    async fn custom(
        &self,
        method: &str,
        params: Map<String, Value>,
        told: Option<Told>,
    ) -> Result<Value, Fault> {
        let mut request = CustomRequest::new(method, Some(Value::Object(params)));
        if let Some(told) = told {
            request.extensions.insert(told);
        }
        self.request(ClientRequest::CustomRequest(request)).await
    }

    fn fault(&self, error: ServiceError) -> Fault {
        match error {
            ServiceError::McpError(ErrorData { code, message, .. }) => {
                Fault::Refused { code: code.0.into(), message: message.into_owned() }
            }
            ServiceError::TransportSend(error) => Fault::Lost(error.error.to_string()),
            ServiceError::TransportClosed => self.lost(),
            other => Fault::Lost(other.to_string()),
        }
    }

    fn lost(&self) -> Fault {
        Fault::Lost(self.ear.reason().unwrap_or_else(|| "its connection has ended".to_owned()))
    }
}

/// When the other end is gone, why.
async fn end_of(child: Option<&Child>, ear: &Ear) -> String {
    let Some(child) = child else { return ear.ended().await };
    tokio::select! {
        reason = child.run() => {
            ear.end(reason.clone());
            reason
        }
        reason = ear.ended() => reason,
    }
}

/// Why there was no handshake.
async fn refused(error: &ClientInitializeError, child: Option<&Child>, ear: &Ear) -> String {
    if let Some(child) = child
        && let Ok(reason) = timeout(REASON_PATIENCE, child.run()).await
    {
        return reason;
    }
    match error {
        ClientInitializeError::JsonRpcError(error) => format!("it refused: {}", error.message),
        ClientInitializeError::TransportError { error, .. } => error.error.to_string(),
        ClientInitializeError::ConnectionClosed(_) => {
            ear.reason().unwrap_or_else(|| "it closed the connection".to_owned())
        }
        // Others hold what the server said, in full.
        _ => "it answered with what is no handshake".to_owned(),
    }
}

/// A request that is open at the server, until its answer is here.
struct Open<'a> {
    id: Option<RequestId>,
    token: ProgressToken,
    rpc: &'a Rpc,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.rpc.ear.forget(&self.token);
        if let Some(id) = self.id.take()
            && self.rpc.cancel.try_send(id).is_err()
        {
            tracing::debug!(server = self.rpc.ear.server, "a cancellation was not sent: too many wait");
        }
    }
}

#[async_trait]
impl Session for Rpc {
    fn has(&self, list: List) -> bool {
        match list {
            List::Tools => self.capabilities.tools.is_some(),
            List::Resources | List::Templates => self.capabilities.resources.is_some(),
            List::Prompts => self.capabilities.prompts.is_some(),
        }
    }

    async fn page(&self, list: List, cursor: Option<String>) -> Result<Value, Fault> {
        let method = match list {
            List::Tools => "tools/list",
            List::Resources => "resources/list",
            List::Templates => "resources/templates/list",
            List::Prompts => "prompts/list",
        };
        let params = cursor.map(|cursor| ("cursor".to_owned(), json!(cursor))).into_iter().collect();
        self.custom(method, params, None).await
    }

    async fn ask(&self, ask: Ask, progress: mpsc::Sender<Progress>) -> Result<Value, Fault> {
        let (method, mut params, arguments) = match ask {
            Ask::Tool { name, arguments } => {
                ("tools/call", Map::from_iter([("name".to_owned(), json!(name))]), arguments)
            }
            Ask::Resource { uri } => {
                ("resources/read", Map::from_iter([("uri".to_owned(), json!(uri))]), None)
            }
            Ask::Prompt { name, arguments } => {
                ("prompts/get", Map::from_iter([("name".to_owned(), json!(name))]), arguments)
            }
        };
        if let Some(arguments) = arguments {
            params.insert("arguments".to_owned(), Value::Object(arguments));
        }
        self.custom(method, params, Some(Told(progress))).await
    }

    async fn ping(&self) -> Result<(), Fault> {
        self.request(ClientRequest::PingRequest(PingRequest::default())).await.map(drop)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.ear.changes()
    }

    async fn run(&self) -> String {
        let cancel = async {
            let mut cancels = self.cancels.lock().await;
            while let Some(id) = cancels.recv().await {
                let cancelled = rmcp::model::CancelledNotificationParam::new(
                    Some(id),
                    Some("nobody waits for the answer".to_owned()),
                );
                let sent = timeout(CANCEL_PATIENCE, self.peer.notify_cancelled(cancelled)).await;
                if !matches!(sent, Ok(Ok(()))) {
                    tracing::debug!(server = self.ear.server, "a cancellation was not sent");
                }
            }
            std::future::pending::<()>().await;
        };
        let reason = tokio::select! {
            reason = end_of(self.child.as_ref(), &self.ear) => reason,
            () = cancel => return String::new(),
        };
        match &self.child {
            // That a program has ended is a better reason than that it closed its output.
            Some(child) => timeout(REASON_PATIENCE, child.run()).await.unwrap_or(reason),
            None => reason,
        }
    }

    async fn close(&self) {
        if let Some(mut running) = self.running.lock().await.take()
            && !matches!(running.close_with_timeout(CLOSE_PATIENCE).await, Ok(Some(_)))
        {
            tracing::debug!(server = self.ear.server, "a session did not end in order");
        }
        if let Some(child) = &self.child {
            child.close().await;
        }
    }
}

impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rpc").field("server", &self.ear.server).finish_non_exhaustive()
    }
}

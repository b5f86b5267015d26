//! Commands on the admin socket, and what they are answered with.

use std::sync::Arc;

use inferd_proto::{AdminCommand, AdminStatus, ErrorCode, Response};
use serde::Serialize;
use tokio::sync::watch;

use super::{Admin, frame};
use crate::mcp::SessionStore;
use crate::router::LaneState;
use crate::service::Service;
use crate::upstream::{Server, Upstreams};

/// What a snapshot is taken of.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) service: Arc<Service>,
    pub(crate) sockets: Sockets,
    /// Those of MCP clients, where such are taken.
    pub(crate) sessions: Option<SessionStore>,
    pub(crate) upstreams: Upstreams,
    /// How many of those clients lend their models.
    pub(crate) lenders: watch::Receiver<usize>,
}

/// Where the daemon listens.
#[derive(Debug, Clone, Serialize)]
pub struct Sockets {
    /// The local socket or pipe.
    pub local: std::path::PathBuf,
    /// The TCP address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<std::net::SocketAddr>,
    /// The address for MCP clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcp: Option<std::net::SocketAddr>,
}

/// The state of lanes, queue and clients.
#[derive(Debug, Serialize)]
struct Snapshot<'a> {
    id: &'static str,
    r#type: &'static str,
    version: &'static str,
    pid: u32,
    uptime_s: u64,
    #[serde(flatten)]
    status: AdminStatus,
    sockets: &'a Sockets,
    running: usize,
    waiting: usize,
    active: usize,
    queue_depth: usize,
    clients: usize,
    /// Sessions of MCP clients, where such are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<usize>,
    /// How many of their clients lend their models.
    #[serde(skip_serializing_if = "Option::is_none")]
    lenders: Option<usize>,
    lanes: Vec<LaneState>,
    /// Upstream servers, where there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    servers: Vec<Server>,
}

/// Carries out a command; what it is answered with.
pub(super) async fn obey(line: &[u8], admin: &Admin) -> Vec<u8> {
    let failed = |message| refused(ErrorCode::InvalidRequest, message);
    match serde_json::from_slice(line) {
        Ok(AdminCommand::Snapshot) => match admin.serving.get() {
            Some(serving) => frame(&snapshot(admin, serving)),
            None => failed("snapshot: the daemon is still starting".to_owned()),
        },
        Ok(AdminCommand::Drain) => {
            admin.drain.cancel();
            Vec::new()
        }
        Ok(AdminCommand::Reload) => match admin.reloader.reload().await {
            Ok(reloaded) => frame(&reloaded.frame()),
            Err(error) => refused(error.code(), error.reason()),
        },
        Err(error) => failed(format!("expected a command such as {{\"type\":\"snapshot\"}}: {error}")),
    }
}

fn refused(code: ErrorCode, message: String) -> Vec<u8> {
    let id = "admin".to_owned();
    frame(&Response::Error { id, code, message, retry_after_ms: None, queue: None })
}

fn snapshot<'a>(
    admin: &Admin,
    Serving { service, sockets, sessions, lenders, upstreams }: &'a Serving,
) -> Snapshot<'a> {
    let queue = service.gate.state();
    Snapshot {
        id: "admin",
        r#type: "snapshot",
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        uptime_s: admin.started.elapsed().as_secs(),
        status: admin.hub.subscribe().0,
        sockets,
        running: queue.running,
        waiting: queue.waiting,
        active: service.gate.limits().active,
        queue_depth: queue.capacity,
        clients: service.gate.clients(),
        sessions: sessions.as_ref().map(SessionStore::len),
        lenders: sessions.as_ref().map(|_| *lenders.borrow()),
        lanes: service.router.state(),
        servers: upstreams.catalogue().servers.clone(),
    }
}

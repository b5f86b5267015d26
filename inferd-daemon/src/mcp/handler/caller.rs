//! Who makes a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::http::request::Parts;
use rmcp::model::Extensions;
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::common::http_header::HEADER_SESSION_ID;

use super::log::Level;
use crate::audit;
use crate::mcp::http::NOBODY;
use crate::mcp::lend::Lender;
use crate::mcp::session::Principal;
use crate::queue::{Admission, Client, ClientKey};
use crate::service::Service;

/// Whose call it is, what it is served with, and how its maker is reached.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) service: Arc<Service>,
    pub(crate) client: Client,
    /// Who engines are told it is.
    pub(crate) asker: inferd_proto::Caller,
    /// Who the log says it is.
    pub(crate) audited: audit::Caller,
    pub(crate) context: RequestContext<RoleServer>,
    /// The session's client as one that may lend its model.
    pub(crate) lender: Lender,
    /// What the caller wants logged; `None`: nothing.
    pub(crate) log_level: Option<Level>,
    /// How long the daemon runs, in seconds.
    pub(crate) uptime_s: u64,
}

impl Caller {
    /// Waits until the call is wanted no more.
    pub(crate) async fn cancelled(&self) {
        self.context.ct.cancelled().await;
    }
}

/// Sessions that have no better name.
static SESSIONS: AtomicU64 = AtomicU64::new(SESSIONLESS + 1);

/// All who have neither a key nor a session.
const SESSIONLESS: u64 = 0;

/// What a session's requests count as where no key names their maker.
#[derive(Debug)]
pub(super) struct Identity(u64);

impl Identity {
    pub(super) fn new() -> Self {
        Self(SESSIONS.fetch_add(1, Ordering::Relaxed))
    }

    /// Who engines are told has made the request that these came with.
    pub(super) fn asker(extensions: &Extensions) -> inferd_proto::Caller {
        let Some(head) = extensions.get::<Parts>() else { return inferd_proto::Caller::default() };
        let principal = head.extensions.get::<Principal>().map(Principal::as_str);
        let key = principal.filter(|&name| name != NOBODY).map(|name| Arc::from(format!("key {name}")));
        let session = head.headers.get(HEADER_SESSION_ID).and_then(|id| id.to_str().ok());
        let session: Option<Arc<str>> = session.map(str::trim).map(Arc::from);
        // The holder of a key is one client, whatever sessions it has.
        let program = session.clone().filter(|_| key.is_none());
        inferd_proto::Caller { principal: key, program, session }
    }

    /// The account of whoever made the request that these came with, and their name in the log.
    pub(super) fn of(&self, gate: &Admission, extensions: &Extensions) -> (Client, audit::Caller) {
        let head = extensions.get::<Parts>();
        let principal = head.and_then(|head| head.extensions.get::<Principal>()).map(Principal::as_str);
        let key = match (principal, head) {
            (Some(name), _) if name != NOBODY => ClientKey::Key(name.to_owned()),
            // Whoever has no session gets a handler for each request: they are one client, so that asking often wins
            // nothing.
            (_, Some(head)) if !head.headers.contains_key(HEADER_SESSION_ID) => {
                ClientKey::Session(SESSIONLESS)
            }
            _ => ClientKey::Session(self.0),
        };
        let audited = audit::Caller::new(&key, audit::Door::Mcp);
        (gate.client(key), audited)
    }
}

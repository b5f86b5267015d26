//! Who makes a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rmcp::model::Extensions;
use rmcp::service::{RequestContext, RoleServer};

use super::log::Level;
use crate::queue::{Admission, Client, ClientKey};
use crate::service::Service;

/// Whose call it is, what it is served with, and how its maker is reached.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) service: Arc<Service>,
    pub(crate) client: Client,
    pub(crate) context: RequestContext<RoleServer>,
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
static SESSIONS: AtomicU64 = AtomicU64::new(0);

/// What a session's requests count as where no key names their maker.
#[derive(Debug)]
pub(super) struct Identity(u64);

impl Identity {
    pub(super) fn new() -> Self {
        Self(SESSIONS.fetch_add(1, Ordering::Relaxed))
    }

    /// The account of whoever made the request that these came with.
    pub(super) fn client(&self, gate: &Admission, _extensions: &Extensions) -> Client {
        gate.client(ClientKey::Session(self.0))
    }
}

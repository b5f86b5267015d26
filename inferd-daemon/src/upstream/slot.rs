//! The place of one server: what its supervision says of it, what callers find there.
//!
//! Invariants:
//! - There is a session exactly while the server is ready; who finds none finds the reason.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::call::CallError;
use super::catalogue::{Condition, Server, State};
use super::listing::Listing;
use super::session::Session;
use crate::config::ServerConfig;

/// Calls that may be open at one server.
pub(super) const CALLS_MAX: usize = 256;

/// The place of one server.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: String,
    held: Mutex<Held>,
    /// Wakes a supervisor that waits to connect again.
    pub(super) nudge: Notify,
    calls: Semaphore,
}

#[derive(Debug)]
struct Held {
    session: Option<Arc<dyn Session>>,
    standing: Standing,
    /// Why it was not there the last time that the log was told, unless it was there since.
    logged: Option<String>,
}

/// How a server stands, and what it offers or did.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) server: Server,
    pub(super) listing: Arc<Listing>,
}

/// The right to one call, and whom it goes to.
pub(super) struct Access<'a> {
    pub(super) session: Arc<dyn Session>,
    _permit: SemaphorePermit<'a>,
}

impl Slot {
    pub(super) fn new(config: &ServerConfig) -> Self {
        let condition =
            Condition { state: State::Connecting, tools: 0, last_error: None, remarks: Vec::new() };
        let (id, kind) = (config.id.clone(), config.kind());
        let server = Server { id: id.clone(), kind, condition, since: Instant::now(), latency: None };
        let standing = Standing { server, listing: Arc::default() };
        let held = Mutex::new(Held { session: None, standing, logged: None });
        Self { id, held, nudge: Notify::new(), calls: Semaphore::new(CALLS_MAX) }
    }

    pub(super) fn standing(&self) -> Standing {
        self.lock().standing.clone()
    }

    /// Lets a call in where the server is ready; else has it tried again soon.
    pub(super) fn access(&self) -> Result<Access<'_>, CallError> {
        let session = {
            let held = self.lock();
            held.session.clone().ok_or_else(|| {
                let condition = &held.standing.server.condition;
                let reason = condition.last_error.clone();
                let reason = reason.unwrap_or_else(|| "it has not answered yet".to_owned());
                CallError::NotConnected { server: self.id.clone(), reason }
            })
        };
        let session = session.inspect_err(|_| self.nudge.notify_one())?;
        match self.calls.try_acquire() {
            Ok(permit) => Ok(Access { session, _permit: permit }),
            Err(_) => Err(CallError::Busy { server: self.id.clone() }),
        }
    }

    /// Whether a call is open.
    pub(super) fn is_calling(&self) -> bool {
        self.calls.available_permits() < CALLS_MAX
    }

    pub(super) fn connecting(&self) {
        self.enter(State::Connecting);
    }

    /// What it offers is known, for the first time in this session or again.
    pub(super) fn ready(&self, session: &Arc<dyn Session>, listing: Listing, latency: Duration) {
        self.enter(State::Live);
        let mut held = self.lock();
        held.session = Some(Arc::clone(session));
        held.logged = None;
        let server = &mut held.standing.server;
        server.latency = Some(latency);
        server.condition.tools = listing.tools.len();
        server.condition.remarks.clone_from(&listing.remarks);
        held.standing.listing = Arc::new(listing);
    }

    /// It is no longer to be called, and why.
    pub(super) fn losing(&self, reason: &str) {
        self.enter(State::Down);
        let mut held = self.lock();
        held.session = None;
        held.standing.server.condition.last_error = Some(reason.to_owned());
    }

    /// It is not there, and why; whether that is news to whoever reads the log.
    pub(super) fn lost(&self, reason: String) -> bool {
        self.losing(&reason);
        let logged = &mut self.lock().logged;
        let is_news = logged.as_ref() != Some(&reason);
        *logged = Some(reason);
        is_news
    }

    /// Whether what it offers differs from what it offered before.
    pub(super) fn offers_other_than(&self, listing: &Listing) -> bool {
        *self.lock().standing.listing != *listing
    }

    pub(super) fn answered_within(&self, latency: Duration) {
        self.lock().standing.server.latency = Some(latency);
    }

    fn enter(&self, state: State) {
        let server = &mut self.lock().standing.server;
        if server.condition.state != state {
            server.condition.state = state;
            server.since = Instant::now();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // No code that can panic runs under this lock.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

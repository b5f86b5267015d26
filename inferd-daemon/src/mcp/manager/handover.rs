//! What passes beside rmcp while it serves a request: who asks goes in, what the response is made of comes out.
//!
//! Invariants:
//! - It is there for one request, in the task that serves it, and nowhere else.

use std::sync::{Arc, Mutex, PoisonError};

use crate::mcp::session::{InUse, Principal, Reader, StoreFull};

/// What came out.
#[derive(Debug, Default)]
pub(crate) enum Outcome {
    /// The response is as rmcp made it.
    #[default]
    AsIs,
    /// The response is what this reader reads.
    Read(Reader),
    /// There is no room for another session.
    Full(StoreFull),
    /// There is no such session.
    NoSession,
}

#[derive(Debug, Clone)]
struct Handover {
    principal: Principal,
    outcome: Arc<Mutex<Outcome>>,
    /// The session that the request makes: it is not to make room for others before its client knows of it.
    begun: Arc<Mutex<Option<InUse>>>,
}

tokio::task_local! {
    static HANDOVER: Handover;
}

/// Serves a request of `principal`.
pub(crate) async fn serve<T>(principal: Principal, request: impl Future<Output = T>) -> (T, Outcome) {
    let handover = Handover { principal, outcome: Arc::default(), begun: Arc::default() };
    let outcome = Arc::clone(&handover.outcome);
    let response = HANDOVER.scope(handover, request).await;
    let outcome = std::mem::take(&mut *outcome.lock().unwrap_or_else(PoisonError::into_inner));
    (response, outcome)
}

/// Who asks. `None`: nobody does.
pub(super) fn principal() -> Option<Principal> {
    HANDOVER.try_with(|handover| handover.principal.clone()).ok()
}

/// Keeps a session in use as long as the request is served.
pub(super) fn keep(begun: InUse) {
    if let Ok(place) = HANDOVER.try_with(|handover| Arc::clone(&handover.begun)) {
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(begun);
    }
}

pub(super) fn give(reader: Reader) {
    tell(Outcome::Read(reader));
}

pub(super) fn refuse(full: StoreFull) {
    tell(Outcome::Full(full));
}

pub(super) fn miss() {
    tell(Outcome::NoSession);
}

/// Where nobody asks nobody is told.
fn tell(outcome: Outcome) {
    if let Ok(place) = HANDOVER.try_with(|handover| Arc::clone(&handover.outcome)) {
        *place.lock().unwrap_or_else(PoisonError::into_inner) = outcome;
    }
}

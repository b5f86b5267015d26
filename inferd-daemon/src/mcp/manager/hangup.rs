//! Lets a call end the connection it is answered on, so that its client comes back for the answer later.

use std::sync::Arc;

use crate::mcp::session::{SessionState, StreamId};

/// The connection of a call, found among the extensions of its request. Calls of 2026-07-28 have none: theirs cannot be
/// come back to.
#[derive(Debug, Clone)]
pub struct Hangup {
    session: Arc<SessionState>,
    stream: StreamId,
}

impl Hangup {
    pub(super) fn new(session: Arc<SessionState>, stream: StreamId) -> Self {
        Self { session, stream }
    }

    /// The session of the call.
    pub(crate) fn session(&self) -> &Arc<SessionState> {
        &self.session
    }

    /// The stream that the call is answered on.
    pub(crate) fn stream(&self) -> StreamId {
        self.stream
    }

    /// Ends the response that the call is answered on. The stream goes on; who comes back reads the rest.
    pub fn hang_up(&self) {
        // A reader that takes the stream and leaves at once.
        drop(self.session.read(self.stream));
    }
}

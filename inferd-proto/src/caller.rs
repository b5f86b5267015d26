//! Who asks, for engines to whom it matters.

use std::sync::Arc;

/// Set by the door a request came in by; nothing on the wire does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Caller {
    /// On whose behalf: the holder of a key, a user of the machine. Callers without one count as the same: whoever the
    /// daemon belongs to.
    pub principal: Option<Arc<str>>,
    /// Which of the principal's programs, where they are told apart.
    pub program: Option<Arc<str>>,
    /// The MCP session it came in by. What came from a session is never sent there to be answered.
    pub session: Option<Arc<str>>,
}

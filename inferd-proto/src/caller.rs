//! Who asks, for engines to whom it matters.

use std::sync::Arc;

/// Set by the door a request came in by; nothing on the wire does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Caller {
    /// Whose request it is: a key's name, a user, a program. Callers without one count as the same.
    pub principal: Option<Arc<str>>,
    /// The MCP session it came in by. What came from a session is never sent there to be answered.
    pub session: Option<Arc<str>>,
}

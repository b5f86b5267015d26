//! What sessions may use.

use std::time::Duration;

/// See the module. [`Limits::default`] is what the daemon uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Sessions at once, of all servers of a runtime; 64.
    pub sessions_max: usize,
    /// Sessions one within another, the outermost counted; 8.
    pub depth_max: usize,
    /// Model turns of one session; 10. At least 1.
    pub max_steps: u32,
    /// From a session's first turn to its end; 10 min. `None`: no limit.
    pub deadline: Option<Duration>,
    /// For room, thread and tools, before a session's first turn; 40 s.
    pub spawn_timeout: Duration,
    /// For each tool call, without news of it; 60 s.
    pub tool_timeout: Duration,
    /// For each tool call, in all; 10 min.
    pub tool_timeout_max: Duration,
    /// Tool calls of one turn; 32. Those past it are not made, and the model is told.
    pub calls_max: usize,
    /// Bytes of one tool's result; 256 KiB. Text past it is cut, and the model is told.
    pub result_bytes_max: usize,
    /// Bytes that the model may say in one turn, reasoning and calls included; 4 MiB.
    pub turn_bytes_max: usize,
    /// Events that wait for a reader; 32. A session whose reader is further behind waits for it.
    pub events_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions_max: 64,
            depth_max: 8,
            max_steps: 10,
            deadline: Some(Duration::from_secs(600)),
            spawn_timeout: Duration::from_secs(40),
            tool_timeout: Duration::from_secs(60),
            tool_timeout_max: Duration::from_secs(600),
            calls_max: 32,
            result_bytes_max: 256 * 1024,
            turn_bytes_max: 4 * 1024 * 1024,
            events_max: 32,
        }
    }
}

//! What a session may hold, and for how long.

use std::time::Duration;

/// A session that nobody used for as long is over.
pub const INACTIVITY: Duration = Duration::from_secs(30 * 60);

/// A session is over after as long, whatever it is doing.
pub const ABSOLUTE: Duration = Duration::from_secs(4 * 60 * 60);

/// A call whose answer nobody has waited for as long is ended. Who lost the connection has until then to come back.
pub const UNREAD: Duration = Duration::from_secs(5 * 60);

/// Between two looks for sessions that are over, and for calls that nobody waits for.
pub const SWEEP: Duration = Duration::from_secs(60);

/// Events that a stream keeps for those who come back.
pub const BUFFER: usize = 256;

/// Bytes that the events of all streams of a session may take. What a reader is about to get is kept beyond it.
pub const RING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Sessions of a daemon.
pub const SESSIONS_MAX: usize = 1024;

/// Sessions of one principal.
pub const SESSIONS_PER_PRINCIPAL_MAX: usize = 64;

/// Streams of a session that are not finished.
pub const OPEN_STREAMS_MAX: usize = 256;

/// Finished streams of a session that are kept for those who come back; the oldest are forgotten first.
pub const STREAMS_KEPT_MAX: usize = 32;

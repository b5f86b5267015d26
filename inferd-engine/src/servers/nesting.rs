//! How deep sessions stand one within another.
//!
//! What a session's tool spawns stands within that session. It is known by where it happens, so that no tool can forget
//! to say so; a tool that hands its work to a task of its own begins at the outside again.

use super::error::{Limited, RuntimeError};

tokio::task_local! {
    /// Of the session in whose task this is.
    static DEPTH: usize;
}

/// The depth that a session spawned here would have, the outermost 1.
pub(super) fn next_depth(max: usize) -> Result<usize, RuntimeError> {
    let depth = DEPTH.try_with(|depth| *depth).unwrap_or(0) + 1;
    if depth > max { Err(RuntimeError::Limit { what: Limited::Depth, max }) } else { Ok(depth) }
}

/// Runs `session` at this depth.
pub(super) async fn at_depth<F: Future>(depth: usize, session: F) -> F::Output {
    DEPTH.scope(depth, session).await
}

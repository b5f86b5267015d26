//! Who asked for what, and what came of it: every logical call leaves one row, when it ends.
//!
//! A door opens an entry for a call, lets it see what happens, and settles it; an entry that is dropped unsettled is
//! that of a client that left.
//!
//! Invariants:
//! - Never a word of a prompt or an answer: sizes alone, rounded up to a power of two.
//! - A row is put on a tray; nobody waits for a disk.

mod caller;
mod entry;
mod log;
mod name;
mod row;
mod table;
mod wall;
mod witness;

pub use caller::{Caller, Door};
pub(crate) use entry::{Asked, Entry, millis_since_1970};
pub use log::{Logged, Query, read};
pub use name::Name;
pub use row::{Kind, Outcome, Row};
pub(crate) use table::{prune, write};
pub(crate) use witness::Witness;

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use crate::state::State;
use wall::Wall;

/// Where rows go, if anywhere. Copies are handles on the same state.
#[derive(Debug, Clone, Default)]
pub struct Audit {
    kept: Option<Kept>,
}

#[derive(Debug, Clone)]
struct Kept {
    state: State,
    wall: Arc<Wall>,
}

impl Audit {
    /// Rows are kept in `state`.
    #[must_use]
    pub fn new(state: State) -> Self {
        let wall = Arc::new(Wall::new(Instant::now()));
        Self { kept: Some(Kept { state, wall }) }
    }

    /// Rows are kept nowhere.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// When a call came, for its row, in milliseconds since 1970. `None`: no rows are kept.
    pub(crate) fn at_ms(&self, received: Instant) -> Option<i64> {
        self.kept.as_ref().map(|kept| kept.wall.at_ms(received, SystemTime::now))
    }

    /// Keeps a row. Never waits.
    pub fn note(&self, row: Row) {
        if let Some(kept) = &self.kept {
            kept.state.note(row);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;

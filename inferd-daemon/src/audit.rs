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
mod row;
mod table;
mod witness;

pub use caller::{Caller, Door};
pub(crate) use entry::{Asked, Entry, millis_since_1970};
pub use log::{Logged, Query, read};
pub use row::{Kind, Outcome, Row};
pub(crate) use table::{prune, write};
pub(crate) use witness::Witness;

use crate::state::State;

/// Where rows go, if anywhere. Copies are handles on the same state.
#[derive(Debug, Clone, Default)]
pub struct Audit {
    state: Option<State>,
}

impl Audit {
    /// Rows are kept in `state`.
    #[must_use]
    pub fn new(state: State) -> Self {
        Self { state: Some(state) }
    }

    /// Rows are kept nowhere.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// Whether rows are kept at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.state.is_some()
    }

    /// Keeps a row. Never waits.
    pub fn note(&self, row: Row) {
        if let Some(state) = &self.state {
            state.note(row);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;

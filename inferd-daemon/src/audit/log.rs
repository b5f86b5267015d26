//! Rows, read back for people.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rusqlite::params;
use serde::Serialize;

use super::entry::millis_since_1970;
use crate::state::open_read_only;

/// Which rows are wanted: the newest of those that fit.
#[derive(Debug, Clone, Copy)]
pub struct Query {
    /// How far back.
    pub since: Option<Duration>,
    /// How many.
    pub count: u32,
}

/// A row as it was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are those of a row")]
pub struct Logged {
    pub at_ms: i64,
    pub client: String,
    pub door: String,
    pub kind: String,
    pub lane: Option<String>,
    pub model: Option<String>,
    pub outcome: String,
    pub reason: Option<String>,
    pub queue_ms: Option<u32>,
    pub first_token_ms: Option<u32>,
    pub total_ms: u32,
    pub prompt_tokens: u32,
    pub completion_tokens: u32,
    pub request_bytes: i64,
    pub answer_bytes: i64,
}

const SELECT: &str = "
    SELECT * FROM (
        SELECT id, at_ms, client, door, kind, lane, model, outcome, reason, queue_ms, first_token_ms, total_ms,
               prompt_tokens, completion_tokens, request_bytes, answer_bytes
        FROM audit WHERE at_ms >= ?1 ORDER BY id DESC LIMIT ?2
    ) ORDER BY id";

/// Reads rows from the database at `path`, oldest first, whether a daemon writes to it or not.
///
/// # Errors
/// The database is not there, or cannot be read.
pub fn read(path: &Path, query: &Query) -> rusqlite::Result<Vec<Logged>> {
    let database = open_read_only(path)?;
    let after = query.since.and_then(|since| SystemTime::now().checked_sub(since));
    let mut select = database.prepare(SELECT)?;
    let rows = select.query_map(params![after.map_or(0, millis_since_1970), query.count], |row| {
        Ok(Logged {
            at_ms: row.get(1)?,
            client: row.get(2)?,
            door: row.get(3)?,
            kind: row.get(4)?,
            lane: row.get(5)?,
            model: row.get(6)?,
            outcome: row.get(7)?,
            reason: row.get(8)?,
            queue_ms: row.get(9)?,
            first_token_ms: row.get(10)?,
            total_ms: row.get(11)?,
            prompt_tokens: row.get(12)?,
            completion_tokens: row.get(13)?,
            request_bytes: row.get(14)?,
            answer_bytes: row.get(15)?,
        })
    })?;
    rows.collect()
}

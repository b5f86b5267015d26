//! The rows in the database.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, params};

use super::Row;
use super::entry::millis_since_1970;

/// The most rows there are; the oldest go first.
const ROWS_MAX: i64 = 10_000_000;

const INSERT: &str = "
    INSERT INTO audit (
        at_ms, client, door, kind, lane, model, outcome, reason, queue_ms, first_token_ms, total_ms,
        prompt_tokens, completion_tokens, request_bytes, answer_bytes
    ) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";

/// Writes all of `rows`, or none.
pub(crate) fn write(database: &mut Connection, rows: &[Row]) -> rusqlite::Result<()> {
    let transaction = database.transaction()?;
    let mut insert = transaction.prepare(INSERT)?;
    for row in rows {
        insert.execute(params![
            row.at_ms,
            &*row.caller.client,
            row.caller.door.as_str(),
            row.kind.as_str(),
            row.lane,
            row.model,
            row.outcome.as_str(),
            row.outcome.reason(),
            row.queue_ms,
            row.first_token_ms,
            row.total_ms,
            row.prompt_tokens,
            row.completion_tokens,
            row.request_bytes.cast_signed(),
            row.answer_bytes.cast_signed(),
        ])?;
    }
    drop(insert);
    transaction.commit()
}

/// Deletes the rows that are older than `days`, and the oldest beyond [`ROWS_MAX`].
pub(crate) fn prune(database: &mut Connection, days: u32) -> rusqlite::Result<()> {
    let kept = Duration::from_secs(u64::from(days) * 24 * 60 * 60);
    let before = SystemTime::now().checked_sub(kept).map_or(0, millis_since_1970);
    database.execute("DELETE FROM audit WHERE at_ms < ?1", [before])?;
    database.execute("DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?1", [ROWS_MAX])?;
    Ok(())
}

//! The rows in the database.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, Statement, ToSql};

use super::entry::millis_since_1970;
use super::{Name, Row};

/// The most rows there are; the oldest go first.
const ROWS_MAX: i64 = 10_000_000;

const INSERT: &str = "
    INSERT INTO audit (
        at_ms, client, door, kind, lane, model, outcome, reason, queue_ms, first_token_ms, total_ms,
        prompt_tokens, completion_tokens, request_bytes, answer_bytes
    ) VALUES ";
const COLUMNS: usize = 15;

/// Rows that one statement writes: each run of it has to find the place to write to.
const AT_ONCE: usize = 32;

/// Writes all of `rows`, or none.
pub(crate) fn write(database: &mut Connection, rows: &[Row]) -> rusqlite::Result<()> {
    let transaction = database.transaction()?;
    let (many, rest) = rows.as_chunks::<AT_ONCE>();
    insert(&transaction, many.iter().map(<[Row; AT_ONCE]>::as_slice), AT_ONCE)?;
    insert(&transaction, rest.iter().map(std::slice::from_ref), 1)?;
    transaction.commit()
}

/// Writes `batches`, each of `count` rows.
fn insert<'r>(
    database: &Connection,
    batches: impl Iterator<Item = &'r [Row]>,
    count: usize,
) -> rusqlite::Result<()> {
    let mut batches = batches.peekable();
    if batches.peek().is_none() {
        return Ok(());
    }
    let row = format!("({})", ["?"; COLUMNS].join(", "));
    let mut insert = database.prepare(&format!("{INSERT}{}", vec![row; count].join(", ")))?;
    for batch in batches {
        for (at, row) in batch.iter().enumerate() {
            bind(&mut insert, at * COLUMNS, row)?;
        }
        insert.raw_execute()?;
    }
    Ok(())
}

/// Binds the columns of a row to the parameters after `before`.
fn bind(insert: &mut Statement<'_>, before: usize, row: &Row) -> rusqlite::Result<()> {
    let columns: [&dyn ToSql; COLUMNS] = [
        &row.at_ms,
        &&*row.caller.client,
        &row.caller.door.as_str(),
        &row.kind.as_str(),
        &row.lane.as_ref().map(Name::as_str),
        &row.model.as_ref().map(Name::as_str),
        &row.outcome.as_str(),
        &row.outcome.reason(),
        &row.queue_ms,
        &row.first_token_ms,
        &row.total_ms,
        &row.prompt_tokens,
        &row.completion_tokens,
        &row.request_bytes.cast_signed(),
        &row.answer_bytes.cast_signed(),
    ];
    for (at, column) in columns.into_iter().enumerate() {
        insert.raw_bind_parameter(before + at + 1, column)?;
    }
    Ok(())
}

/// Deletes the rows that are older than `days`, and the oldest beyond [`ROWS_MAX`].
pub(crate) fn prune(database: &mut Connection, days: u32) -> rusqlite::Result<()> {
    let kept = Duration::from_secs(u64::from(days) * 24 * 60 * 60);
    let before = SystemTime::now().checked_sub(kept).map_or(0, millis_since_1970);
    database.execute("DELETE FROM audit WHERE at_ms < ?1", [before])?;
    database.execute("DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?1", [ROWS_MAX])?;
    Ok(())
}

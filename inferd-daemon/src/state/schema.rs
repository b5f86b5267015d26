//! The tables, and how an older database becomes one of today.
//!
//! Invariant: a step that was released is never changed; what changes is a further step.

use rusqlite::{Connection, Transaction};

use super::StateError;

/// Each step takes a database from the version of its index to the next.
const STEPS: [&str; 1] = ["
    CREATE TABLE audit (
        id INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        client TEXT NOT NULL,
        door TEXT NOT NULL,
        kind TEXT NOT NULL,
        lane TEXT,
        model TEXT,
        outcome TEXT NOT NULL,
        reason TEXT,
        queue_ms INTEGER,
        first_token_ms INTEGER,
        total_ms INTEGER NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        request_bytes INTEGER NOT NULL,
        answer_bytes INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX audit_by_time ON audit (at_ms);

    CREATE TABLE session (
        id TEXT PRIMARY KEY,
        principal TEXT NOT NULL,
        tenant TEXT,
        created_ms INTEGER NOT NULL,
        touched_ms INTEGER NOT NULL,
        initialize TEXT,
        next_stream INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE stream (
        session TEXT NOT NULL REFERENCES session ON DELETE CASCADE,
        id INTEGER NOT NULL,
        request TEXT,
        finished INTEGER NOT NULL,
        gone INTEGER NOT NULL,
        next INTEGER NOT NULL,
        PRIMARY KEY (session, id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE event (
        session TEXT NOT NULL,
        stream INTEGER NOT NULL,
        id INTEGER NOT NULL,
        kind TEXT NOT NULL,
        data TEXT NOT NULL,
        PRIMARY KEY (session, stream, id),
        FOREIGN KEY (session, stream) REFERENCES stream (session, id) ON DELETE CASCADE
    ) STRICT;
"];

/// The version of a database of today.
const VERSION: usize = STEPS.len();

/// Brings the database up to today's version.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StateError> {
    let transaction = connection.transaction()?;
    let version = version(&transaction)?;
    if version > VERSION {
        return Err(StateError::Newer { found: version, known: VERSION });
    }
    for (done, step) in (1_i64..).zip(STEPS).skip(version) {
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", done)?;
    }
    transaction.commit()?;
    Ok(())
}

fn version(transaction: &Transaction<'_>) -> Result<usize, StateError> {
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    // A version below zero was never ours.
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

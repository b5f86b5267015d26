//! Sessions in the state database.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde_json::Value;

use crate::mcp::session::event::{EventKind, StreamEvent, StreamId};
use crate::mcp::session::id::{Principal, SessionId};
use crate::mcp::session::shelf::{Changes, Keeping, Known, Profile, Saved, Shelf, ShelfError, StreamChanges};
use crate::state::State;

impl Shelf for State {
    fn save(&self, changes: Vec<Changes>, ended: Vec<SessionId>) -> Keeping<'_, ()> {
        Box::pin(async move {
            self.ask(move |database| save(database, &changes, &ended)).await.map_err(|_| ShelfError)
        })
    }

    fn load(&self, id: SessionId) -> Keeping<'_, Option<Saved>> {
        Box::pin(async move { self.ask(move |database| load(database, id)).await.map_err(|_| ShelfError) })
    }

    fn known(&self) -> Keeping<'_, Vec<Known>> {
        Box::pin(async { self.ask(known).await.map_err(|_| ShelfError) })
    }
}

fn save(database: &mut Connection, changes: &[Changes], ended: &[SessionId]) -> rusqlite::Result<()> {
    let transaction = database.transaction()?;
    for changes in changes {
        save_one(&transaction, changes)?;
    }
    for id in ended {
        transaction.execute("DELETE FROM session WHERE id = ?1", [id.to_string()])?;
    }
    transaction.commit()
}

fn save_one(transaction: &Transaction<'_>, changes: &Changes) -> rusqlite::Result<()> {
    let id = changes.id.to_string();
    let Profile { principal, tenant, created_ms, touched_ms, initialize, next_stream } = &changes.profile;
    transaction.execute(
        "INSERT INTO session (id, principal, tenant, created_ms, touched_ms, initialize, next_stream)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (id) DO UPDATE SET
             touched_ms = excluded.touched_ms, initialize = excluded.initialize, next_stream = excluded.next_stream",
        params![
            id,
            principal.as_str(),
            tenant.as_deref(),
            created_ms,
            touched_ms,
            initialize.as_deref().map(Value::to_string),
            next_stream.cast_signed(),
        ],
    )?;
    let kept: Vec<u64> = changes.streams.iter().map(|stream| stream.number()).collect();
    transaction.execute(
        "DELETE FROM stream WHERE session = ?1 AND id NOT IN (SELECT value FROM json_each(?2))",
        params![id, Value::from(kept).to_string()],
    )?;
    for stream in &changes.changed {
        save_stream(transaction, &id, stream)?;
    }
    Ok(())
}

fn save_stream(transaction: &Transaction<'_>, session: &str, stream: &StreamChanges) -> rusqlite::Result<()> {
    let StreamChanges { id, request, finished, gone, next, events } = stream;
    let number = id.number().cast_signed();
    transaction.execute(
        "INSERT INTO stream (session, id, request, finished, gone, next) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (session, id) DO UPDATE SET
             finished = excluded.finished, gone = excluded.gone, next = excluded.next",
        params![
            session,
            number,
            request.as_ref().map(Value::to_string),
            finished,
            gone.cast_signed(),
            next.cast_signed()
        ],
    )?;
    transaction.execute(
        "DELETE FROM event WHERE session = ?1 AND stream = ?2 AND id <= ?3",
        params![session, number, gone.cast_signed()],
    )?;
    let mut insert = transaction.prepare(
        "INSERT OR REPLACE INTO event (session, stream, id, kind, data) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for event in events {
        let (id, data) = (event.id.cast_signed(), event.data.to_string());
        insert.execute(params![session, number, id, event.kind.as_str(), data])?;
    }
    Ok(())
}

fn load(database: &mut Connection, id: SessionId) -> rusqlite::Result<Option<Saved>> {
    let transaction = database.transaction()?;
    let id = id.to_string();
    let profile = transaction
        .query_row(
            "SELECT principal, tenant, created_ms, touched_ms, initialize, next_stream FROM session WHERE id = ?1",
            [&id],
            profile,
        )
        .optional()?;
    let Some(profile) = profile else { return Ok(None) };
    let mut select = transaction
        .prepare("SELECT id, request, finished, gone, next FROM stream WHERE session = ?1 ORDER BY id")?;
    let streams = select.query_map([&id], stream)?.collect::<rusqlite::Result<Vec<_>>>()?;
    let streams = streams.into_iter().map(|stream| with_events(&transaction, &id, stream));
    Ok(Some(Saved { profile, streams: streams.collect::<rusqlite::Result<_>>()? }))
}

fn profile(row: &Row<'_>) -> rusqlite::Result<Profile> {
    Ok(Profile {
        principal: Principal::from(&*row.get::<_, String>(0)?),
        tenant: row.get::<_, Option<String>>(1)?.map(Into::into),
        created_ms: row.get(2)?,
        touched_ms: row.get(3)?,
        initialize: row.get::<_, Option<String>>(4)?.map(|text| json(4, &text).map(Arc::new)).transpose()?,
        next_stream: number(row, 5)?,
    })
}

fn stream(row: &Row<'_>) -> rusqlite::Result<StreamChanges> {
    Ok(StreamChanges {
        id: StreamId(number(row, 0)?),
        request: row.get::<_, Option<String>>(1)?.map(|text| json(1, &text)).transpose()?,
        finished: row.get(2)?,
        gone: number(row, 3)?,
        next: number(row, 4)?,
        events: Vec::new(),
    })
}

fn with_events(
    transaction: &Transaction<'_>,
    session: &str,
    stream: StreamChanges,
) -> rusqlite::Result<StreamChanges> {
    let mut select = transaction
        .prepare("SELECT id, kind, data FROM event WHERE session = ?1 AND stream = ?2 ORDER BY id")?;
    let number_of_stream = stream.id.number().cast_signed();
    let events = select.query_map(params![session, number_of_stream], |row| {
        let kind = EventKind::named(&row.get::<_, String>(1)?).unwrap_or(EventKind::Message);
        let data = Arc::new(json(2, &row.get::<_, String>(2)?)?);
        Ok(StreamEvent { id: number(row, 0)?, kind, data, stream: stream.id })
    })?;
    Ok(StreamChanges { events: events.collect::<rusqlite::Result<_>>()?, ..stream })
}

/// All there are, those used last first.
fn known(database: &mut Connection) -> rusqlite::Result<Vec<Known>> {
    let mut select = database
        .prepare("SELECT id, principal, created_ms, touched_ms FROM session ORDER BY touched_ms DESC")?;
    let known = select.query_map([], |row| {
        // An id that is none was not written by us, and is passed over.
        let Some(id) = SessionId::parse(&row.get::<_, String>(0)?) else { return Ok(None) };
        let principal = Principal::from(&*row.get::<_, String>(1)?);
        Ok(Some(Known { id, principal, created_ms: row.get(2)?, touched_ms: row.get(3)? }))
    })?;
    known.filter_map(Result::transpose).collect()
}

/// A number that was never below zero.
fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

fn json(column: usize, text: &str) -> rusqlite::Result<Value> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

//! What a row says.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::entry::millis_since_1970;
use super::row::rounded;
use super::*;
use crate::agent::Agents;
use crate::queue::{Admission, ClientKey};
use crate::router::Router;
use crate::service::{ConnectionLimits, Service, Stop};
use crate::state::Settings;

/// A row of a call that came at `at_ms` and was served.
pub(crate) fn row(at_ms: i64) -> Row {
    Row {
        at_ms,
        caller: Caller::new(&ClientKey::Key("laptop".to_owned()), Door::Tcp),
        kind: Kind::Generate,
        lane: Some("local".into()),
        model: Some("small".into()),
        outcome: Outcome::Served,
        queue_ms: Some(1),
        first_token_ms: Some(2),
        total_ms: 3,
        prompt_tokens: 4,
        completion_tokens: 5,
        request_bytes: 8,
        answer_bytes: 16,
    }
}

fn now_ms() -> i64 {
    millis_since_1970(SystemTime::now())
}

const ALL: Query = Query { since: None, count: 1000 };

#[test]
fn sizes_are_rounded_up_to_a_power_of_two() {
    let sizes = [0, 1, 2, 3, 1000, 1024, 1025, usize::MAX].map(rounded);
    assert_eq!(sizes, [0, 1, 2, 4, 1024, 1024, 2048, 1 << 62]);
}

#[test]
fn clients_are_named_as_the_gate_knows_them() {
    let name = |key| Caller::new(&key, Door::Ndjson).client.to_string();
    assert_eq!(name(ClientKey::Process { uid: 1000, pid: 42 }), "uid 1000 pid 42");
    assert_eq!(name(ClientKey::User { uid: 1000 }), "uid 1000");
    assert_eq!(name(ClientKey::Key("laptop".to_owned())), "key laptop");
    assert_eq!(name(ClientKey::Connection(7)), "connection 7");
}

#[tokio::test]
async fn a_row_is_read_back_as_it_was_noted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let state = State::open(Settings::new(&path, 30)).unwrap();
    let audit = Audit::new(state.clone());
    let at_ms = now_ms();
    audit.note(row(at_ms));
    audit.note(Row { lane: None, model: None, outcome: Outcome::Refused("queue_full"), ..row(at_ms + 1) });
    state.close().await;
    let rows = read(&path, &ALL).unwrap();
    let served = Logged {
        at_ms,
        client: "key laptop".to_owned(),
        door: "tcp".to_owned(),
        kind: "generate".to_owned(),
        lane: Some("local".to_owned()),
        model: Some("small".to_owned()),
        outcome: "served".to_owned(),
        reason: None,
        queue_ms: Some(1),
        first_token_ms: Some(2),
        total_ms: 3,
        prompt_tokens: 4,
        completion_tokens: 5,
        request_bytes: 8,
        answer_bytes: 16,
    };
    let refused = Logged {
        at_ms: at_ms + 1,
        lane: None,
        model: None,
        outcome: "refused".to_owned(),
        reason: Some("queue_full".to_owned()),
        ..served.clone()
    };
    assert_eq!(rows, [served, refused]);
}

#[tokio::test]
async fn the_newest_rows_are_read_oldest_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let state = State::open(Settings::new(&path, 30)).unwrap();
    let (hour, now) = (60 * 60 * 1000, now_ms());
    for age in [3, 2, 1, 0] {
        state.note(row(now - age * hour));
    }
    state.close().await;
    let at =
        |query| read(&path, &query).unwrap().iter().map(|row| (now - row.at_ms) / hour).collect::<Vec<_>>();
    assert_eq!(at(ALL), [3, 2, 1, 0]);
    assert_eq!(at(Query { count: 2, ..ALL }), [1, 0]);
    assert_eq!(at(Query { since: Some(Duration::from_secs(90 * 60)), ..ALL }), [1, 0]);
}

#[tokio::test]
async fn rows_older_than_asked_for_are_pruned() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let day = 24 * 60 * 60 * 1000;
    let state = State::open(Settings::new(&path, 60)).unwrap();
    state.note(row(now_ms() - 31 * day));
    state.note(row(now_ms() - 29 * day));
    state.close().await;
    assert_eq!(read(&path, &ALL).unwrap().len(), 2);
    let state = State::open(Settings::new(&path, 30)).unwrap();
    state.close().await;
    assert_eq!(read(&path, &ALL).unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_is_dropped_is_that_of_a_client_that_left() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let state = State::open(Settings::new(&path, 30)).unwrap();
    let long = "é".repeat(1000);
    let caller = Caller::new(&ClientKey::Connection(1), Door::Mcp);
    let service = Arc::new(Service {
        gate: Admission::unlimited(),
        router: Arc::new(Router::new(vec![])),
        limits: ConnectionLimits::default(),
        stop: Stop::default(),
        audit: Audit::new(state.clone()),
        agents: Agents::alone(),
    });
    let asked = Asked { kind: Kind::Embed, model: Some(&long), bytes: 100 };
    let mut entry = Entry::open(&service, &caller, tokio::time::Instant::now(), || asked);
    tokio::time::advance(Duration::from_millis(5)).await;
    entry.runs("first");
    tokio::time::advance(Duration::from_millis(5)).await;
    entry.says(3);
    entry.runs("second");
    entry.says(30);
    tokio::time::advance(Duration::from_millis(5)).await;
    drop(entry);
    tokio::time::resume();
    state.close().await;
    let row = read(&path, &ALL).unwrap().remove(0);
    assert_eq!((&*row.outcome, row.reason.as_deref()), ("cancelled", Some("client_left")));
    assert_eq!((&*row.door, &*row.kind, row.lane.as_deref()), ("mcp", "embed", Some("second")));
    assert_eq!(row.model, Some("é".repeat(256)), "a client may name anything");
    assert_eq!((row.queue_ms, row.first_token_ms, row.total_ms), (Some(5), Some(10), 15));
    assert_eq!((row.completion_tokens, row.request_bytes, row.answer_bytes), (2, 128, 64));
}

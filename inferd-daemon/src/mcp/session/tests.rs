//! What sessions promise, each promise a test.

mod attendance;
mod cursors;
mod expiry;
mod persistence;
mod reading;
mod room;
mod values;

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;

fn alice() -> Principal {
    Principal::from("alice")
}

/// A session of Alice's that nothing but the test holds.
fn session() -> Arc<SessionState> {
    Arc::new(SessionState::new(alice(), None, Instant::now()))
}

/// A store with one session of Alice's.
fn store_of_one() -> (SessionStore, SessionId) {
    let (store, now) = (SessionStore::new(), Instant::now());
    let id = store.insert(SessionState::new(alice(), None, now), now).expect("there is room");
    (store, id)
}

fn publish(session: &SessionState, events: u64) {
    for n in 1..=events {
        session.publish_event(EventKind::Message, json!({ "n": n }));
    }
}

fn ids(events: &[StreamEvent]) -> Vec<u64> {
    events.iter().map(|event| event.id).collect()
}

/// Everything that `reader` can get without waiting, and why it ended if it did.
fn drain(reader: &mut Reader) -> (Vec<StreamEvent>, Option<Ended>) {
    let mut events = Vec::new();
    loop {
        match reader.try_recv() {
            Some(Ok(event)) => events.push(event),
            Some(Err(ended)) => return (events, Some(ended)),
            None => return (events, None),
        }
    }
}

fn lagged(dropped: u64, last_event_id: u64, oldest_available: u64) -> Value {
    json!({ "dropped": dropped, "last_event_id": last_event_id, "oldest_available": oldest_available })
}

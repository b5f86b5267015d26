//! The last events of one stream.
//!
//! Invariants:
//! - Ids go up, from 1, without a gap but the one that a restart leaves.
//! - At most [`BUFFER`] events; the oldest go first.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use super::cursor::Held;
use super::event::{EventKind, StreamEvent, StreamId};
use super::limits::BUFFER;

#[derive(Debug)]
pub(super) struct Ring {
    stream: StreamId,
    events: VecDeque<Kept>,
    bytes: usize,
    gone: u64,
    next: u64,
}

#[derive(Debug)]
struct Kept {
    event: StreamEvent,
    bytes: usize,
}

impl Ring {
    pub(super) fn new(stream: StreamId) -> Self {
        Self { stream, events: VecDeque::new(), bytes: 0, gone: 0, next: 1 }
    }

    /// Keeps an event; its id.
    pub(super) fn push(&mut self, kind: EventKind, data: Arc<Value>) -> u64 {
        let id = self.next;
        self.next += 1;
        self.keep(StreamEvent { id, kind, data, stream: self.stream });
        id
    }

    fn keep(&mut self, event: StreamEvent) {
        if self.events.len() == BUFFER {
            self.drop_oldest();
        }
        let bytes = size_of::<Kept>() + footprint(&event.data);
        self.bytes += bytes;
        self.events.push_back(Kept { event, bytes });
    }

    /// Takes over what was kept of a stream.
    pub(super) fn restore(&mut self, gone: u64, next: u64, events: Vec<StreamEvent>) {
        (self.gone, self.next) = (gone, next);
        for event in events {
            self.keep(event);
        }
    }

    pub(super) fn drop_oldest(&mut self) {
        if let Some(Kept { event, bytes }) = self.events.pop_front() {
            self.gone = event.id;
            self.bytes -= bytes;
        }
    }

    pub(super) fn held(&self) -> Held {
        let oldest = self.events.front().map_or(self.next, |kept| kept.event.id);
        Held { gone: self.gone, oldest, next: self.next }
    }

    /// The first event after `id`.
    pub(super) fn after(&self, id: u64) -> Option<&StreamEvent> {
        let at = self.events.partition_point(|kept| kept.event.id <= id);
        self.events.get(at).map(|kept| &kept.event)
    }

    /// The id of the last event; 0: there was none.
    pub(super) fn last(&self) -> u64 {
        self.next - 1
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// What the events take, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn events(&self) -> impl Iterator<Item = &StreamEvent> {
        self.events.iter().map(|kept| &kept.event)
    }
}

/// Bytes of memory that `value` takes, about.
fn footprint(value: &Value) -> usize {
    /// What a key costs beside its text.
    const KEY: usize = size_of::<String>();
    let inside = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(footprint).sum(),
        Value::Object(fields) => fields.iter().map(|(key, value)| KEY + key.len() + footprint(value)).sum(),
    };
    size_of::<Value>() + inside
}

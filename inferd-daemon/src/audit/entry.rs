//! A call whose row is not written yet.
//!
//! Invariant: an entry leaves one row, whatever becomes of the call.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use inferd_proto::Usage;
use tokio::time::Instant;

use super::row::rounded;
use super::{Audit, Caller, Kind, Outcome, Row};
use crate::answer::Clock;

/// A call whose row is written when this is dropped. Nothing is recorded where no rows are kept.
#[derive(Debug)]
#[must_use = "dropping it says that the client left"]
pub(crate) struct Entry {
    open: Option<Box<Open>>,
}

#[derive(Debug)]
struct Open {
    audit: Audit,
    received: Instant,
    row: Row,
    answer_bytes: usize,
}

/// What a call asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) kind: Kind,
    pub(crate) model: Option<&'a str>,
    /// Bytes of its texts.
    pub(crate) bytes: usize,
}

impl Entry {
    /// Begins the row of a call that came at `received`.
    pub(crate) fn open(audit: &Audit, caller: &Caller, asked: Asked<'_>, received: Instant) -> Self {
        if !audit.is_on() {
            return Self { open: None };
        }
        let row = Row {
            at_ms: millis_since_1970(SystemTime::now()),
            caller: caller.clone(),
            kind: asked.kind,
            lane: None,
            model: asked.model.map(str::to_owned),
            outcome: Outcome::Cancelled("client_left"),
            queue_ms: None,
            first_token_ms: None,
            total_ms: 0,
            prompt_tokens: 0,
            completion_tokens: 0,
            request_bytes: rounded(asked.bytes),
            answer_bytes: 0,
        };
        Self { open: Some(Box::new(Open { audit: audit.clone(), received, row, answer_bytes: 0 })) }
    }

    /// A lane has it.
    pub(crate) fn runs(&mut self, lane: &str) {
        let Some(open) = &mut self.open else { return };
        open.row.queue_ms.get_or_insert_with(|| millis(open.received.elapsed()));
        lane.clone_into(open.row.lane.get_or_insert_default());
    }

    /// A piece of the answer came.
    pub(crate) fn says(&mut self, bytes: usize) {
        let Some(open) = &mut self.open else { return };
        open.answer_bytes += bytes;
        open.row.completion_tokens = open.row.completion_tokens.saturating_add(1);
        open.row.first_token_ms.get_or_insert_with(|| millis(open.received.elapsed()));
    }

    /// It was answered.
    pub(crate) fn served(&mut self, usage: Usage, model: Option<&str>, clock: Option<&Clock>) {
        let Some(open) = &mut self.open else { return };
        open.row.outcome = Outcome::Served;
        open.row.prompt_tokens = usage.prompt_tokens;
        open.row.completion_tokens = usage.completion_tokens;
        if open.row.model.is_none() {
            open.row.model = model.map(str::to_owned);
        }
        if let Some(clock) = clock {
            let since = |at: Instant| millis(at.saturating_duration_since(clock.received));
            open.row.queue_ms = Some(since(clock.ran));
            open.row.first_token_ms = clock.first_token.map(since);
        }
    }

    /// It was not.
    pub(crate) fn ended(&mut self, outcome: Outcome) {
        if let Some(open) = &mut self.open {
            open.row.outcome = outcome;
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            let Open { audit, received, mut row, answer_bytes } = *open;
            row.total_ms = millis(received.elapsed());
            row.answer_bytes = rounded(answer_bytes);
            audit.note(row);
        }
    }
}

fn millis(span: Duration) -> u32 {
    u32::try_from(span.as_millis()).unwrap_or(u32::MAX)
}

/// Milliseconds since 1970; a clock set before it counts as 1970.
pub(crate) fn millis_since_1970(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

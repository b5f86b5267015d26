//! A call whose row is not written yet.
//!
//! Invariant: an entry leaves one row, whatever becomes of the call.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use inferd_engine::Embedded;
use inferd_proto::{EmbedRequest, Resolved, Usage};
use tokio::time::Instant;

use super::row::rounded;
use super::{Caller, Kind, Name, Outcome, Row};
use crate::answer::Clock;
use crate::service::Service;

/// The longest name of a model in a row, in characters.
const NAME_CHARS_MAX: usize = 256;

/// Why a call was dropped that nobody has ended.
const LEFT: &str = "client_left";

/// A call whose row is written when this is dropped. Nothing is recorded where no rows are kept.
#[derive(Debug)]
#[must_use = "dropping it says that the client left"]
pub(crate) struct Entry {
    /// In place: a call whose row is to be kept allocates nothing for it.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    service: Arc<Service>,
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

impl<'a> From<&'a Resolved> for Asked<'a> {
    fn from(request: &'a Resolved) -> Self {
        let bytes = request.messages.iter().map(|message| message.content.text_bytes()).sum();
        Self { kind: Kind::Generate, model: request.model.as_deref(), bytes }
    }
}

impl<'a> From<&'a EmbedRequest> for Asked<'a> {
    fn from(request: &'a EmbedRequest) -> Self {
        let bytes = request.input.iter().map(String::len).sum();
        Self { kind: Kind::Embed, model: request.model.as_deref(), bytes }
    }
}

impl Entry {
    /// Begins the row of a call that came at `received`.
    pub(crate) fn open<'a>(
        service: &Arc<Service>,
        caller: &Caller,
        received: Instant,
        asked: impl FnOnce() -> Asked<'a>,
    ) -> Self {
        let Some(at_ms) = service.audit.at_ms(received) else { return Self { open: None } };
        let Asked { kind, model, bytes } = asked();
        let row = Row {
            at_ms,
            caller: caller.clone(),
            kind,
            lane: None,
            model: model.map(cut),
            outcome: Outcome::Cancelled(LEFT),
            queue_ms: None,
            first_token_ms: None,
            total_ms: 0,
            prompt_tokens: 0,
            completion_tokens: 0,
            request_bytes: rounded(bytes),
            answer_bytes: 0,
        };
        Self { open: Some(Open { service: Arc::clone(service), received, row, answer_bytes: 0 }) }
    }

    /// A lane has it.
    pub(crate) fn runs(&mut self, lane: &str) {
        let Some(open) = &mut self.open else { return };
        open.row.queue_ms.get_or_insert_with(|| millis(open.received.elapsed()));
        open.row.lane = Some(lane.into());
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
            open.row.model = model.map(cut);
        }
        if let Some(clock) = clock {
            let since = |at: Instant| millis(at.saturating_duration_since(clock.received));
            open.row.queue_ms = Some(since(clock.ran));
            open.row.first_token_ms = clock.first_token.map(since);
        }
    }

    /// Its vectors are there.
    pub(crate) fn embedded(&mut self, embedded: &Embedded, lane: &str) {
        let Some(open) = &mut self.open else { return };
        open.row.lane = Some(lane.into());
        open.answer_bytes = embedded.embeddings.iter().map(|vector| size_of_val(&**vector)).sum();
        let usage = Usage { prompt_tokens: embedded.usage.prompt_tokens, completion_tokens: 0 };
        self.served(usage, Some(&embedded.model), None);
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
            let Open { service, received, mut row, answer_bytes } = open;
            if row.outcome == Outcome::Cancelled(LEFT) && service.stop.is_said() {
                row.outcome = Outcome::Cancelled("draining");
            }
            row.total_ms = millis(received.elapsed());
            row.answer_bytes = rounded(answer_bytes);
            service.audit.note(row);
        }
    }
}

/// As much of a name as is kept: a client may name anything.
fn cut(name: &str) -> Name {
    let end = name.char_indices().nth(NAME_CHARS_MAX).map_or(name.len(), |(at, _)| at);
    name[..end].into()
}

fn millis(span: Duration) -> u32 {
    u32::try_from(span.as_millis()).unwrap_or(u32::MAX)
}

/// Milliseconds since 1970; a clock set before it counts as 1970.
pub(crate) fn millis_since_1970(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

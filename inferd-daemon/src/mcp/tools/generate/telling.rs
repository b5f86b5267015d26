//! Events of an answer as what a call has of it so far.
//!
//! Invariants:
//! - Telling waits for nobody: a generation goes on where its client is away, and the result waits for it.
//! - An answer is no longer than [`TEXT_BYTES_MAX`]: there it ends, as one that reached its limit of tokens.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Mutex, MutexGuard, PoisonError};

use inferd_proto::{StopReason, Timings, ToolCall, Usage};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::answer::{Clock, Done, Event, Replies};
use crate::mcp::handler::log::{self, Level};

/// The longest answer, in bytes: what a session keeps for its client is bounded, too.
const TEXT_BYTES_MAX: usize = 1024 * 1024;

/// Notes that wait to be sent; where a client is slow the oldest is given up.
const NOTES_MAX: usize = 16;

/// What is known of an answer, for whoever shows it and for the result.
#[derive(Debug, Default)]
pub(super) struct Board {
    told: Mutex<Told>,
    /// Signalled when there is more to show.
    pub(super) news: Notify,
    full: Notify,
}

#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) text: String,
    pub(super) tokens: u32,
    /// What is to be logged with the client.
    pub(super) notes: VecDeque<Note>,
    lane: String,
    is_full: bool,
    /// Since it runs.
    clock: Option<Clock>,
    finished: Option<Finished>,
}

/// Something worth a line in the client's log.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) level: Level,
    pub(super) data: Value,
}

/// How an answer ended.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) text: String,
    pub(super) stop_reason: StopReason,
    pub(super) usage: Usage,
    pub(super) backend: String,
    pub(super) model: Option<String>,
    pub(super) tool_calls: Vec<ToolCall>,
    pub(super) timings: Timings,
}

impl Board {
    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the answer is as long as one may be.
    pub(super) async fn full(&self) {
        self.full.notified().await;
    }

    /// The answer: as it ended, or as it was ended here.
    pub(super) fn take(&self) -> Finished {
        let mut told = self.told();
        let text = std::mem::take(&mut told.text);
        let finished = told.finished.take().unwrap_or_else(|| told.cut_short());
        Finished { text, ..finished }
    }
}

impl Told {
    fn note(&mut self, level: Level, data: Value) {
        if self.notes.len() == NOTES_MAX {
            self.notes.pop_front();
        }
        self.notes.push_back(Note { level, data });
    }

    /// All of it but the text.
    fn done(&mut self, done: Done<'_>) {
        self.finished = Some(Finished {
            text: String::new(),
            stop_reason: done.stop_reason,
            usage: done.usage,
            backend: done.lane.to_owned(),
            model: done.model,
            tool_calls: done.tool_calls,
            timings: done.clock.timings(),
        });
    }

    fn cut_short(&self) -> Finished {
        Finished {
            text: String::new(),
            stop_reason: StopReason::Length,
            usage: Usage { prompt_tokens: 0, completion_tokens: self.tokens },
            backend: self.lane.clone(),
            model: None,
            tool_calls: Vec::new(),
            timings: self.clock.map(|clock| clock.timings()).unwrap_or_default(),
        }
    }
}

/// Writes on a board.
pub(super) struct Telling<'b> {
    pub(super) board: &'b Board,
    /// When the request was.
    pub(super) received: Instant,
}

impl Replies for Telling<'_> {
    fn tell(&mut self, event: Event<'_>) {
        let mut told = self.board.told();
        match event {
            Event::Queued(position) => {
                told.note(log::INFO, json!({ "status": "queued", "position": position }));
            }
            Event::Running(lane) => {
                lane.clone_into(&mut told.lane);
                told.clock = Some(Clock { received: self.received, ran: Instant::now(), first_token: None });
                told.note(log::INFO, json!({ "status": "running", "backend": lane }));
            }
            Event::Retrying(lane) => {
                lane.clone_into(&mut told.lane);
                told.note(log::WARNING, json!({ "status": "retrying", "backend": lane }));
            }
            Event::Token(text) => {
                if let Some(clock) = &mut told.clock {
                    clock.first_token.get_or_insert_with(Instant::now);
                }
                told.tokens = told.tokens.saturating_add(1);
                if told.text.len() + text.len() > TEXT_BYTES_MAX {
                    told.is_full = true;
                    self.board.full.notify_one();
                } else {
                    told.text.push_str(&text);
                }
            }
            Event::Thinking(_) => told.tokens = told.tokens.saturating_add(1),
            Event::Done(done) => told.done(done),
        }
        drop(told);
        self.board.news.notify_one();
    }

    async fn room(&self) {
        if self.board.told().is_full {
            pending::<()>().await;
        }
    }
}

//! Events of an answer, or of an agent turn, as what a call has of it so far.
//!
//! Invariants:
//! - Telling waits for nobody: a generation goes on where its client is away, and the result waits for it.
//! - An answer is no longer than [`TEXT_BYTES_MAX`]: there it ends, as one that reached its limit of tokens.

use std::collections::VecDeque;
use std::fmt;
use std::future::pending;
use std::sync::{Mutex, MutexGuard, PoisonError};

use inferd_proto::{StopReason, Timings, ToolCall, Usage};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::agent;
use crate::answer::{Clock, Done, Event, Replies};
use crate::mcp::handler::log::{self, Level};

/// The longest answer, in bytes: what a session keeps for its client is bounded, too.
pub(super) const TEXT_BYTES_MAX: usize = 1024 * 1024;

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
    /// Counts what there was to show: tokens, and in agent turns steps and tools as well.
    pub(super) news: u32,
    /// What is said before the text; an answer has nothing.
    pub(super) heading: Heading,
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
    /// Of an agent turn.
    pub(super) turn: Option<Turn>,
}

/// What an agent turn has beside its answer.
#[derive(Debug)]
pub(super) struct Turn {
    /// The conversation, for the next turn to name.
    pub(super) thread: String,
    /// How many steps it took.
    pub(super) steps: u32,
}

/// Where an agent turn stands.
#[derive(Debug, Default)]
pub(super) struct Heading {
    step: u32,
    /// Tools that are running.
    calling: Vec<String>,
}

impl fmt::Display for Heading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.step, self.calling.as_slice()) {
            (0, _) => Ok(()),
            (step, []) => writeln!(f, "step {step}"),
            (step, calling) => writeln!(f, "step {step}, calling {}", calling.join(", ")),
        }
    }
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
    /// A token came.
    fn counts(&mut self) {
        self.tokens = self.tokens.saturating_add(1);
        self.news = self.news.saturating_add(1);
    }

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
            turn: None,
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
            turn: None,
        }
    }
}

/// Writes on a board.
pub(super) struct Telling<'b> {
    pub(super) board: &'b Board,
    /// When the request was.
    pub(super) received: Instant,
}

impl Telling<'_> {
    fn says(&self, told: &mut Told, text: &str) {
        told.counts();
        if told.text.len() + text.len() > TEXT_BYTES_MAX {
            told.is_full = true;
            self.board.full.notify_one();
        } else {
            told.text.push_str(text);
        }
    }

    async fn has_room(&self) {
        if self.board.told().is_full {
            pending::<()>().await;
        }
    }
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
                self.says(&mut told, &text);
            }
            Event::Thinking(_) => told.counts(),
            Event::Done(done) => told.done(done),
        }
        drop(told);
        self.board.news.notify_one();
    }

    async fn room(&self) {
        self.has_room().await;
    }
}

impl agent::Replies for Telling<'_> {
    fn tell(&mut self, event: agent::Event<'_>) {
        let mut told = self.board.told();
        match event {
            agent::Event::Begins => {
                told.text.clear();
                told.heading.step += 1;
                told.news += 1;
            }
            agent::Event::Queued { step, position } => {
                told.note(log::INFO, json!({ "status": "queued", "step": step, "position": position }));
            }
            agent::Event::Running { step, lane } => {
                told.note(log::INFO, json!({ "status": "running", "step": step, "backend": lane }));
            }
            agent::Event::Retrying { step, lane } => {
                told.note(log::WARNING, json!({ "status": "retrying", "step": step, "backend": lane }));
            }
            agent::Event::Token(text) => self.says(&mut told, &text),
            agent::Event::Thinking(_) => told.counts(),
            agent::Event::Calling { step, tool } => {
                told.heading.calling.push(tool.to_owned());
                told.news += 1;
                told.note(log::INFO, json!({ "status": "calling", "step": step, "tool": tool }));
            }
            // How far a tool is says nothing of how far the turn is.
            agent::Event::Progress { .. } => return,
            agent::Event::Called { step, tool, is_error } => {
                let at = told.heading.calling.iter().position(|calling| calling == tool);
                at.map(|at| told.heading.calling.remove(at));
                told.news += 1;
                let (level, status) = if is_error { (log::WARNING, "failed") } else { (log::INFO, "called") };
                told.note(level, json!({ "status": status, "step": step, "tool": tool }));
            }
            agent::Event::Done(done) => {
                told.finished = Some(Finished {
                    text: String::new(),
                    stop_reason: done.stop_reason,
                    usage: done.usage,
                    backend: done.lane.to_owned(),
                    model: done.model,
                    tool_calls: Vec::new(),
                    timings: done.clock.timings(),
                    turn: Some(Turn { thread: done.thread.to_owned(), steps: done.steps }),
                });
            }
        }
        drop(told);
        self.board.news.notify_one();
    }

    async fn room(&self) {
        self.has_room().await;
    }
}

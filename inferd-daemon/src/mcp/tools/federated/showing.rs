//! What a client is shown of a call while its server works on it.
//!
//! Invariants:
//! - Only to who asked: progress to who gave a token, log lines of the level asked for.
//! - The call waits for no reader: past [`WORDS_MAX`] that wait the oldest is given up.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rmcp::model::{ProgressNotificationParam, ProgressToken};
use serde_json::Value;
use tokio::sync::Notify;

use crate::mcp::handler::Caller;
use crate::mcp::handler::log::{self, Level};
use crate::upstream::Progress;

/// What may wait to be shown.
const WORDS_MAX: usize = 64;

/// The longest message of a server's progress, in bytes.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// Who the log lines are from.
const LOGGER: &str = "call";

pub(super) struct Showing<'c> {
    caller: &'c Caller,
    token: Option<ProgressToken>,
    waiting: Mutex<VecDeque<Word>>,
    news: Notify,
}

enum Word {
    Line(Level, Value),
    Step(ProgressNotificationParam),
}

impl<'c> Showing<'c> {
    pub(super) fn new(caller: &'c Caller) -> Self {
        let token = caller.context.meta.get_progress_token();
        Self { caller, token, waiting: Mutex::default(), news: Notify::new() }
    }

    /// Takes note of how far the server says it is.
    pub(super) fn step(&self, step: Progress) {
        let Some(token) = &self.token else { return };
        let mut shown = ProgressNotificationParam::new(token.clone(), step.progress);
        shown.total = step.total;
        shown.message = step.message.map(beginning_of);
        self.push(Word::Step(shown));
    }

    /// Takes note of a line for the client's log.
    pub(super) fn log(&self, level: Level, line: impl FnOnce() -> Value) {
        if self.caller.log_level.is_some_and(|threshold| log::is_at_least(level, threshold)) {
            self.push(Word::Line(level, line()));
        }
    }

    /// Shows what there is to show, for ever.
    pub(super) async fn run(&self) -> Infallible {
        loop {
            self.deliver().await;
            self.news.notified().await;
        }
    }

    /// Shows what has not been shown yet. A client that cannot be reached is not told, and loses nothing of its result.
    pub(super) async fn deliver(&self) {
        let peer = &self.caller.context.peer;
        loop {
            let Some(word) = self.waiting().pop_front() else { return };
            let sent = match word {
                Word::Line(level, line) => log::send(peer, level, LOGGER, line).await,
                Word::Step(step) => peer.notify_progress(step).await,
            };
            if let Err(error) = sent {
                tracing::debug!(%error, "what is shown of a call did not reach its client");
            }
        }
    }

    fn push(&self, word: Word) {
        let mut waiting = self.waiting();
        if waiting.len() == WORDS_MAX {
            waiting.pop_front();
        }
        waiting.push_back(word);
        drop(waiting);
        self.news.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Word>> {
        // No code that can panic runs under this lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As much of a message as is shown.
fn beginning_of(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES_MAX {
        let end = (0..=MESSAGE_BYTES_MAX).rfind(|&at| message.is_char_boundary(at));
        message.truncate(end.unwrap_or_default());
        message.push('…');
    }
    message
}

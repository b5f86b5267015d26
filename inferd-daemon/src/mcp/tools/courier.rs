//! Shows a client how its answer grows, and logs with it what becomes of its request.
//!
//! Invariants:
//! - No more often than each [`EVERY`], and never more than [`SHOWN_BYTES_MAX`] at once, however fast an answer comes.
//! - Only to who asked: progress to who gave a token, log lines of the level asked for.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rmcp::model::{ProgressNotificationParam, ProgressToken};

use super::telling::{Board, Note};
use crate::mcp::handler::Caller;
use crate::mcp::handler::log::{self, Level};

/// How often an answer that grows is shown.
const EVERY: Duration = Duration::from_millis(100);

/// How much of it is shown at once; of a longer one its end.
const SHOWN_BYTES_MAX: usize = 16 * 1024;

pub(super) struct Courier<'c> {
    caller: &'c Caller,
    board: &'c Board,
    /// Who the log lines are from.
    logger: &'static str,
    token: Option<ProgressToken>,
    /// Of the log lines that are wanted; `None`: none is.
    level: Option<Level>,
    /// How much there was to show when it was last shown.
    shown: AtomicU32,
}

impl<'c> Courier<'c> {
    pub(super) fn new(caller: &'c Caller, board: &'c Board, logger: &'static str) -> Self {
        let token = caller.context.meta.get_progress_token();
        Self { caller, board, logger, token, level: caller.log_level, shown: AtomicU32::new(0) }
    }

    /// Shows what there is to show, for ever.
    pub(super) async fn run(&self) -> Infallible {
        loop {
            self.board.news.notified().await;
            self.deliver().await;
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Shows what has not been shown yet. A client that cannot be reached is not told, and loses nothing: its result
    /// has all of it.
    pub(super) async fn deliver(&self) {
        let (notes, progress) = self.take();
        let peer = &self.caller.context.peer;
        for note in notes {
            if let Err(error) = log::send(peer, note.level, self.logger, note.data).await {
                tracing::debug!(%error, "a log line did not reach its client");
            }
        }
        if let Some(progress) = progress
            && let Err(error) = peer.notify_progress(progress).await
        {
            tracing::debug!(%error, "progress did not reach its client");
        }
    }

    fn take(&self) -> (Vec<Note>, Option<ProgressNotificationParam>) {
        let mut told = self.board.told();
        let wanted = |note: &Note| self.level.is_some_and(|level| log::is_at_least(note.level, level));
        let notes = told.notes.drain(..).filter(wanted).collect();
        let grown = told.news > self.shown.swap(told.news, Ordering::Relaxed);
        let progress = self.token.as_ref().filter(|_| grown).map(|token| {
            let progress = ProgressNotificationParam::new(token.clone(), f64::from(told.news));
            progress.with_message(format!("{}{}", told.heading, end_of(&told.text)))
        });
        (notes, progress)
    }
}

/// As much of the text's end as is shown at once.
fn end_of(text: &str) -> String {
    if text.len() <= SHOWN_BYTES_MAX {
        return text.to_owned();
    }
    let least = text.len() - SHOWN_BYTES_MAX;
    let start = (least..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
    format!("…{}", &text[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_text_its_end_is_shown_cut_between_characters() {
        assert_eq!(end_of("short"), "short");
        let long = format!("{}end", "ä".repeat(SHOWN_BYTES_MAX));
        let shown = end_of(&long);
        assert!(shown.starts_with("…ä") && shown.ends_with("äend"), "{}", &shown[shown.len() - 20..]);
        assert!(shown.len() <= SHOWN_BYTES_MAX + "…".len());
    }
}

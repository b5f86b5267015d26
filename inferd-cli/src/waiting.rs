//! What stands on the terminal until the first token comes.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use inferd_proto::Response;

use crate::words;

const TICK: Duration = Duration::from_millis(100);

/// A spinner on standard error, if that is a terminal; gone when dropped.
pub(crate) struct Waiting(ProgressBar);

impl Waiting {
    pub(crate) fn new() -> Self {
        let spinner = ProgressBar::new_spinner();
        spinner.set_style(ProgressStyle::default_spinner());
        Self(spinner)
    }

    /// Whether anybody sees it, so that `status` frames are worth asking for.
    pub(crate) fn is_seen(&self) -> bool {
        !self.0.is_hidden()
    }

    /// Shows where the request stands.
    pub(crate) fn show(&self, status: &Response) {
        if let Some(message) = words::waiting(status) {
            self.0.enable_steady_tick(TICK);
            self.0.set_message(message);
        }
    }

    /// Takes it off the terminal.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.clear();
    }
}

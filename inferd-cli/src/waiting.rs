//! What stands on the terminal until the first token comes.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use inferd_proto::Response;

use crate::words;

const TICK: Duration = Duration::from_millis(100);
const DRAWS_PER_S: u8 = 20;

/// Columns the spinner takes. Indicatif fills the line it believes to have, and what is echoed or resized at the end
/// of a full line breaks it: then it cannot be wiped any more.
const COLUMNS: u16 = 40;
const MESSAGE_CHARS_MAX: usize = COLUMNS as usize - 4;

/// A spinner on standard error, if that is a terminal; gone when dropped.
pub(crate) struct Waiting(ProgressBar);

impl Waiting {
    pub(crate) fn new() -> Self {
        if !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(Narrow), DRAWS_PER_S);
        Self(ProgressBar::with_draw_target(None, target).with_style(ProgressStyle::default_spinner()))
    }

    /// Whether anybody sees it, so that `status` frames are worth asking for.
    pub(crate) fn is_seen(&self) -> bool {
        !self.0.is_hidden()
    }

    /// Shows where the request stands.
    pub(crate) fn show(&self, status: &Response) {
        if let Some(message) = words::waiting(status) {
            self.say(&message);
        }
    }

    /// Shows what is waited for.
    pub(crate) fn say(&self, message: &str) {
        self.0.enable_steady_tick(TICK);
        self.0.set_message(message.chars().take(MESSAGE_CHARS_MAX).collect::<String>());
    }

    /// Leaves a line on the terminal, if anybody sees it.
    pub(crate) fn leave(&self, line: &str) {
        if self.is_seen() {
            self.0.suspend(|| eprintln!("{line}"));
        }
    }

    /// Is shown again at the next word of where the request stands.
    pub(crate) fn again(&self) {
        if self.0.is_finished() {
            self.0.reset();
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

/// Standard error as a terminal of [`COLUMNS`].
#[derive(Debug)]
struct Narrow;

impl TermLike for Narrow {
    fn width(&self) -> u16 {
        COLUMNS
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        step(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        step(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        step(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        step(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        writeln!(io::stderr(), "{text}")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        write!(io::stderr(), "{text}")
    }

    fn clear_line(&self) -> io::Result<()> {
        write!(io::stderr(), "\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn step(n: usize, direction: char) -> io::Result<()> {
    if n == 0 { Ok(()) } else { write!(io::stderr(), "\x1b[{n}{direction}") }
}

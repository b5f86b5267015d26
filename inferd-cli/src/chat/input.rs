//! Lines of the person or program that talks: edited and remembered at a terminal, plain from anything else.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::PathBuf;

use anyhow::Context as _;
use inferd_proto::MAX_FRAME_BYTES;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Config, Editor, Helper};
use tokio::task::spawn_blocking;

use super::history;
use crate::platform::TerminalState;
use crate::turn::interrupt;

const PROMPT: &str = "> ";

/// Ends what the editor asks of a terminal: to mark what is pasted.
const PASTE_UNMARKED: &str = "\x1b[?2004l";

/// Where lines come from.
pub(super) enum Input {
    /// A person at a terminal.
    Terminal(Box<Terminal>),
    /// A file, a pipe, or a terminal whose answers go elsewhere.
    Stream,
}

/// What came.
pub(super) enum Line {
    Text(String),
    /// Ctrl-C.
    Interrupted,
    End,
}

pub(super) struct Terminal {
    /// Away while a thread of its own waits for a line.
    editor: Option<Editor<Continued, FileHistory>>,
    history: Option<PathBuf>,
    /// As it was found: it is set otherwise while a line is edited.
    found: TerminalState,
}

impl Input {
    pub(super) fn of_stdin() -> anyhow::Result<Self> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Ok(Self::Stream);
        }
        let found = TerminalState::of_stdin().context("cannot tell how this terminal is set")?;
        let config = Config::builder().history_ignore_space(true).auto_add_history(false).build();
        let mut editor = Editor::with_config(config).context("cannot edit lines on this terminal")?;
        editor.set_helper(Some(Continued));
        let history = history::path();
        if let Some(path) = history.as_ref().filter(|path| path.exists())
            && let Err(error) = editor.load_history(path)
        {
            eprintln!("earlier lines are not at hand: {error}");
        }
        Ok(Self::Terminal(Box::new(Terminal { editor: Some(editor), history, found })))
    }

    /// Leaves the terminal as it was found, though a line may still be waited for: for a program that ends before that
    /// line does.
    pub(super) fn abandon(&self) -> io::Result<()> {
        match self {
            Self::Terminal(terminal) => {
                terminal.found.restore()?;
                let mut out = io::stdout();
                writeln!(out, "{PASTE_UNMARKED}")?;
                out.flush()
            }
            Self::Stream => Ok(()),
        }
    }

    /// Whether a person sits at it.
    pub(super) fn is_attended(&self) -> bool {
        matches!(self, Self::Terminal(_))
    }

    /// Waits for the next line.
    pub(super) async fn next(&mut self) -> anyhow::Result<Line> {
        match self {
            Self::Terminal(terminal) => terminal.next().await,
            Self::Stream => tokio::select! {
                line = spawn_blocking(plain_line) => Ok(line??),
                () = interrupt() => Ok(Line::Interrupted),
            },
        }
    }
}

fn plain_line() -> io::Result<Line> {
    let mut line = Vec::new();
    // A longer one is too large for any daemon, which its first part will be told.
    let read = io::stdin().lock().take(MAX_FRAME_BYTES as u64).read_until(b'\n', &mut line)?;
    Ok(if read == 0 { Line::End } else { Line::Text(String::from_utf8_lossy(&line).into_owned()) })
}

impl Terminal {
    async fn next(&mut self) -> anyhow::Result<Line> {
        let mut editor = self.editor.take().context("the line editor is lost")?;
        let (editor, line) = spawn_blocking(move || {
            let line = editor.readline(PROMPT);
            (editor, line)
        })
        .await?;
        let editor = self.editor.insert(editor);
        match line {
            Ok(line) => {
                remember(editor, &mut self.history, &line);
                Ok(Line::Text(line.replace("\\\n", "\n")))
            }
            Err(ReadlineError::Interrupted) => Ok(Line::Interrupted),
            Err(ReadlineError::Eof) => Ok(Line::End),
            Err(error) => Err(error.into()),
        }
    }
}

/// Adds a line to the file at once: several chats share it. Says once where that cannot be.
fn remember(editor: &mut Editor<Continued, FileHistory>, history: &mut Option<PathBuf>, line: &str) {
    let kept = editor.add_history_entry(line).and_then(|added| match history.as_ref().filter(|_| added) {
        None => Ok(()),
        Some(path) => {
            history::make_dir(path)?;
            editor.append_history(path)
        }
    });
    if let Err(error) = kept {
        eprintln!("lines are not kept: {error}");
        *history = None;
    }
}

/// Lets a line that ends in `\` go on in the next.
struct Continued;

impl Validator for Continued {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if context.input().ends_with('\\') {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Valid(None)
        })
    }
}

impl Completer for Continued {
    type Candidate = String;
}

impl Hinter for Continued {
    type Hint = String;
}

impl Highlighter for Continued {}

impl Helper for Continued {}

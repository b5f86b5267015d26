//! The answer as a person or a program reads it: tokens in, text out.
//!
//! Invariants:
//! - A terminal gets no control character that a model made up; anything else gets the answer's very bytes.
//! - Reasoning is shown, dimmed, on a terminal only: elsewhere the output is the answer and nothing else.

use std::io::{self, Write};

use inferd_proto::TokenKind;

const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// What the output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// A terminal that knows how to dim.
    Terminal,
    /// A terminal that does not, or was asked not to (`NO_COLOR`, `TERM=dumb`).
    PlainTerminal,
    /// A file, a pipe.
    Stream,
}

/// Writes one answer.
pub(crate) struct Screen<W> {
    out: W,
    output: Output,
    /// The answer so far.
    said: String,
    thinking: bool,
    /// Whether the cursor stands at the start of a line.
    at_start: bool,
}

impl Output {
    /// What standard output is.
    pub(crate) fn of_stdout() -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        if !io::IsTerminal::is_terminal(&io::stdout()) {
            Self::Stream
        } else if set("NO_COLOR") || std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
            Self::PlainTerminal
        } else {
            Self::Terminal
        }
    }
}

impl<W: Write> Screen<W> {
    pub(crate) fn new(out: W, output: Output) -> Self {
        Self { out, output, said: String::new(), thinking: false, at_start: true }
    }

    /// Writes a token, unflushed.
    pub(crate) fn token(&mut self, content: &str, kind: Option<TokenKind>) -> io::Result<()> {
        match kind {
            Some(TokenKind::Thinking) if self.output == Output::Stream => return Ok(()),
            Some(TokenKind::Thinking) => self.think()?,
            None => {
                self.stop_thinking()?;
                self.said.push_str(content);
            }
        }
        self.write(content)
    }

    /// The answer so far.
    pub(crate) fn said(&self) -> &str {
        &self.said
    }

    /// Shows what was written.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Ends the answer and its line.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.pause()
    }

    /// Ends the line, so that something else may be shown before the answer goes on.
    pub(crate) fn pause(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.thinking) {
            self.style(PLAIN)?;
        }
        if !self.at_start {
            self.out.write_all(b"\n")?;
            self.at_start = true;
        }
        self.flush()
    }

    fn think(&mut self) -> io::Result<()> {
        if !self.thinking {
            self.thinking = true;
            self.style(DIM)?;
        }
        Ok(())
    }

    fn stop_thinking(&mut self) -> io::Result<()> {
        if self.thinking {
            self.thinking = false;
            self.style(PLAIN)?;
            self.out.write_all(if self.at_start { b"\n" } else { b"\n\n" })?;
            self.at_start = true;
        }
        Ok(())
    }

    fn style(&mut self, style: &str) -> io::Result<()> {
        if self.output == Output::Terminal { self.out.write_all(style.as_bytes()) } else { Ok(()) }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        let shown = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
        if self.output == Output::Stream || text.chars().all(|c| shown(&c)) {
            self.out.write_all(text.as_bytes())?;
        } else {
            let safe: String = text.chars().filter(shown).collect();
            self.out.write_all(safe.as_bytes())?;
        }
        if let Some(last) = text.as_bytes().last() {
            self.at_start = *last == b'\n';
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(output: Output, tokens: &[(&str, Option<TokenKind>)]) -> String {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out, output);
        for (content, kind) in tokens {
            screen.token(content, *kind).unwrap();
        }
        screen.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    const THOUGHT: Option<TokenKind> = Some(TokenKind::Thinking);

    #[test]
    fn reasoning_is_dimmed_on_a_terminal_and_absent_elsewhere() {
        let tokens = [("let me", THOUGHT), (" see", THOUGHT), ("4", None), ("2", None)];
        assert_eq!(shown(Output::Terminal, &tokens), "\x1b[2mlet me see\x1b[0m\n\n42\n");
        assert_eq!(shown(Output::PlainTerminal, &tokens), "let me see\n\n42\n");
        assert_eq!(shown(Output::Stream, &tokens), "42\n");
        assert_eq!(shown(Output::Terminal, &tokens[..1]), "\x1b[2mlet me\x1b[0m\n", "cut off while thinking");
    }

    #[test]
    fn a_model_cannot_drive_the_terminal() {
        let tokens = [("a\x1b]0;title\x07\r\n\tb\u{9b}31m", None)];
        assert_eq!(shown(Output::Terminal, &tokens), "a]0;title\n\tb31m\n");
        assert_eq!(shown(Output::Stream, &tokens), "a\x1b]0;title\x07\r\n\tb\u{9b}31m\n");
    }

    #[test]
    fn the_line_is_ended_once() {
        assert_eq!(shown(Output::Stream, &[("a\n", None)]), "a\n");
        assert_eq!(shown(Output::Stream, &[("a", None), ("", None)]), "a\n");
        assert_eq!(shown(Output::Stream, &[]), "");
    }
}

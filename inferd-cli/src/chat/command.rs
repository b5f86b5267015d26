//! A typed line: something to say, or a command.

/// What `/help` prints.
pub(super) const HELP: &str = "  /model          list the models
  /model NAME     talk to another model
  /system TEXT    instructions for the whole conversation
  /system         take them back
  /clear, /new    begin a new conversation
  /quit           leave, as Ctrl-D does
A line that ends in \\ goes on in the next.
Ctrl-C ends an answer; what came of it is kept.";

/// A line, understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed<'a> {
    /// An empty line.
    Nothing,
    /// To be said to the model.
    Text(&'a str),
    /// To be done.
    Command(Command<'a>),
    /// It begins with `/` and is no command.
    Unknown(&'a str),
}

/// A command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    Help,
    Clear,
    Model(Option<&'a str>),
    System(Option<&'a str>),
    Quit,
}

impl<'a> Typed<'a> {
    /// Reads a line. `//` at its start stands for a `/` that begins no command.
    pub(super) fn of(line: &'a str) -> Self {
        let line = line.trim();
        if line.is_empty() {
            return Self::Nothing;
        }
        if !line.starts_with('/') || line.starts_with("//") {
            return Self::Text(line.strip_prefix('/').unwrap_or(line));
        }
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let argument = Some(rest.trim()).filter(|rest| !rest.is_empty());
        let command = match (name, argument) {
            ("/help" | "/?", None) => Command::Help,
            ("/clear" | "/new", None) => Command::Clear,
            ("/quit" | "/exit", None) => Command::Quit,
            ("/model", name) => Command::Model(name),
            ("/system", text) => Command::System(text),
            _ => return Self::Unknown(name),
        };
        Self::Command(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_text_unless_it_begins_with_a_slash() {
        for (line, typed) in [
            ("  \n", Typed::Nothing),
            (" hello\n", Typed::Text("hello")),
            ("a /help", Typed::Text("a /help")),
            ("//etc/passwd is what?", Typed::Text("/etc/passwd is what?")),
            ("/help", Typed::Command(Command::Help)),
            ("/new", Typed::Command(Command::Clear)),
            ("/model", Typed::Command(Command::Model(None))),
            ("/model  llama3.1:8b ", Typed::Command(Command::Model(Some("llama3.1:8b")))),
            ("/system be brief\nand kind", Typed::Command(Command::System(Some("be brief\nand kind")))),
            ("/quit", Typed::Command(Command::Quit)),
            ("/etc/passwd is what?", Typed::Unknown("/etc/passwd")),
            ("/clear the table", Typed::Unknown("/clear")),
        ] {
            assert_eq!(Typed::of(line), typed, "{line}");
        }
    }
}

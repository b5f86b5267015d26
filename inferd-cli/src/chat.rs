//! `chat`: a conversation at the terminal, or down a pipe.
//!
//! Invariants:
//! - A turn enters the conversation with its answer or not at all.
//! - Nothing an answer can end with ends the chat, except that nobody reads it.
//! - However it ends, the terminal is left as it was found.

mod command;
mod conversation;
mod history;
mod input;

use std::io;

use inferd_proto::{ErrorCode, Hello, Response, StopReason};

use crate::args::{ChatArgs, Reach};
use crate::client::ClientError;
use crate::exit::Exit;
use crate::link::Link;
use crate::platform::terminated;
use crate::screen::{Output, Screen};
use crate::turn::{self, End, interrupt};
use crate::waiting::Waiting;
use crate::words;

use command::{Command, HELP, Typed};
use conversation::Conversation;
use input::{Input, Line};

struct Chat {
    link: Link,
    conversation: Conversation,
    output: Output,
    /// Whether a person sits at it.
    attended: bool,
    /// How the last turn went.
    exit: Exit,
}

/// Talks until the input ends, or the program is asked to.
pub(crate) async fn run(args: ChatArgs, reach: &Reach) -> anyhow::Result<Exit> {
    let mut input = Input::of_stdin()?;
    let attended = input.is_attended();
    let link = match Link::open(reach, args.model.as_deref(), true).await {
        Ok(link) => link,
        Err(error) => {
            eprintln!("inferd-cli: {}", words::chain(&error));
            return Ok(error.exit());
        }
    };
    let conversation = Conversation::new(args.model, args.system);
    let mut chat = Chat { link, conversation, output: Output::of_stdout(), attended, exit: Exit::Ok };
    if attended {
        eprintln!("/help lists the commands, Ctrl-D leaves\n");
    }
    let exit = tokio::select! {
        // In this order, so that the signal is listened for before the terminal is set otherwise.
        biased;
        () = terminated(), if attended => {
            input.abandon().map(|()| Exit::Terminated).map_err(Into::into)
        }
        talked = chat.talk(&mut input) => talked,
    };
    chat.link.close().await;
    exit
}

impl Chat {
    /// Takes line after line until the last.
    async fn talk(&mut self, input: &mut Input) -> anyhow::Result<Exit> {
        loop {
            match input.next().await? {
                Line::Interrupted if self.attended => eprintln!("Ctrl-D or /quit leaves"),
                Line::Interrupted => return Ok(Exit::Interrupted),
                Line::Text(text) if self.take(&text).await? => {}
                Line::Text(_) | Line::End => return Ok(if self.attended { Exit::Ok } else { self.exit }),
            }
        }
    }

    /// Does what was typed; false where the chat is over.
    async fn take(&mut self, text: &str) -> anyhow::Result<bool> {
        match Typed::of(text) {
            Typed::Nothing => {}
            Typed::Text(text) => return self.turn(text).await,
            Typed::Command(Command::Quit) => return Ok(false),
            Typed::Command(Command::Help) => eprintln!("{HELP}"),
            Typed::Command(Command::Clear) => {
                self.conversation.clear();
                eprintln!("a new conversation");
            }
            Typed::Command(Command::Model(None)) => {
                if let Some(hello) = self.hello().await {
                    eprintln!("{}", words::models(&hello));
                }
            }
            Typed::Command(Command::Model(Some(name))) => {
                self.conversation.model = Some(name.to_owned());
                if let Some(hello) = self.hello().await {
                    eprintln!("{}", words::engine(&hello, Some(name)));
                }
            }
            Typed::Command(Command::System(text)) => {
                self.conversation.system = text.map(str::to_owned);
                eprintln!("{}", if text.is_some() { "instructions set" } else { "no instructions" });
            }
            Typed::Unknown(name) => eprintln!("no command {name}: /help lists them, //… says it as it is"),
        }
        Ok(true)
    }

    /// What the daemon can do, unless it does not say or is not waited for.
    async fn hello(&self) -> Option<Hello> {
        tokio::select! {
            hello = self.link.hello() => hello.inspect_err(|error| eprintln!("error: {}", words::chain(error))).ok(),
            () = interrupt() => None,
        }
    }

    /// One question and its answer.
    async fn turn(&mut self, text: &str) -> anyhow::Result<bool> {
        let waiting = Waiting::new();
        let request = self.conversation.request(text, waiting.is_seen());
        let answer = tokio::select! {
            answer = self.link.generate(request) => answer,
            () = interrupt() => return Ok(true),
        };
        let mut screen = Screen::new(io::stdout(), self.output);
        let end = match answer {
            Ok(answer) => turn::show(answer, &mut screen, &waiting).await,
            Err(error) => {
                self.exit = error.exit();
                self.failed(&words::chain(&error));
                return Ok(true);
            }
        };
        self.exit = Exit::Ok;
        match end {
            End::Terminal(Response::Error { code, message, retry_after_ms, queue, .. }) => {
                self.exit = code.into();
                let mut meaning = words::refusal(code, &message, retry_after_ms, queue);
                meaning.push_str(advice(code));
                self.failed(&meaning);
            }
            End::Terminal(Response::Done { content, stop_reason, .. }) => {
                self.conversation.keep(text, &content);
                match stop_reason {
                    StopReason::Length => self.note("(cut off: the model may not say more)"),
                    StopReason::Cancelled => self.note("(stopped)"),
                    StopReason::End | StopReason::Error | StopReason::ToolCalls => {}
                }
            }
            // No terminal frame is any other.
            End::Terminal(Response::Token { .. } | Response::Status { .. }) => {}
            End::Abandoned => {
                screen.end()?;
                self.conversation.keep(text, screen.said());
                self.note("(stopped)");
            }
            End::Lost(error) => self.lost(&error),
            End::Unread(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(false),
            End::Unread(error) => return Err(error.into()),
        }
        if self.attended {
            println!();
        }
        Ok(true)
    }

    fn lost(&mut self, error: &ClientError) {
        self.exit = error.into();
        self.failed(&format!("{}; the next message connects again", words::chain(error)));
    }

    fn failed(&self, why: &str) {
        eprintln!("error: {why}");
        self.note("(your message was not kept: ↑ brings it back)");
    }

    fn note(&self, note: &str) {
        if self.attended {
            eprintln!("{note}");
        }
    }
}

/// What to do about an error, where that is not waiting.
fn advice(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::ModelNotFound => "; /model lists what there is",
        ErrorCode::FrameTooLarge => "; /clear begins anew",
        ErrorCode::QueueFull
        | ErrorCode::BackendUnavailable
        | ErrorCode::InvalidRequest
        | ErrorCode::DeadlineExceeded
        | ErrorCode::Internal => "",
    }
}

//! `ask --servers`: one prompt in, on each server an answer of its own; all of them out, or the first.
//!
//! Invariants:
//! - What ends is told at once, under its server's name; nobody waits for the slowest.
//! - However this ends, no request is left open: those that nobody waits for any more are cancelled.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::stream::SelectAll;
use futures_util::{Stream, StreamExt};
use inferd_proto::{AgentRequest, Request, Response, StopReason};
use serde::Serialize;
use tokio::time::timeout;

use super::{fail, request, unread};
use crate::args::{AskArgs, Reach};
use crate::client::{Answer, ClientError};
use crate::exit::Exit;
use crate::feature::{self, Feature};
use crate::link::Link;
use crate::screen::{Output, Screen};
use crate::turn::interrupt;
use crate::waiting::Waiting;
use crate::words;

/// How long the daemon has to say that cancelled requests have ended.
const CANCEL_PATIENCE: Duration = Duration::from_secs(1);

/// What is open, and what is to be done with what ends.
struct Round {
    waiting: Waiting,
    answers: SelectAll<Named>,
    /// The first success is enough.
    any: bool,
    json: bool,
    /// How many servers were asked.
    asked: usize,
    /// How many answers were printed.
    printed: usize,
    /// The servers still to be heard from.
    open: Vec<String>,
    failures: Vec<Exit>,
}

/// Asks on every server, prints what comes, and says how it went.
pub(super) async fn run(mut args: AskArgs, prompt: String, reach: &Reach) -> anyhow::Result<Exit> {
    let mut servers: Vec<String> = Vec::new();
    for server in std::mem::take(&mut args.many.servers) {
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    let wanted = [Feature::Servers, Feature::Agent];
    let mut link = match feature::open(reach, args.model.as_deref(), &wanted).await {
        Ok(link) => link,
        Err(exit) => return Ok(exit),
    };
    let mut round = Round {
        waiting: Waiting::new(),
        answers: SelectAll::new(),
        any: args.many.any,
        json: args.json,
        open: servers.clone(),
        asked: 0,
        printed: 0,
        failures: Vec::new(),
    };
    let mut request = request(args, prompt, false);
    request.stream = Some(false);
    let exit = tokio::select! {
        // In this order, so that Ctrl-C is listened for before anything is sent.
        biased;
        () = interrupt() => Ok(Exit::Interrupted),
        exit = round.run(&mut link, &request, servers) => exit,
    };
    round.cancel().await;
    link.close().await;
    match exit {
        Err(error) => unread(error),
        Ok(exit) => Ok(exit),
    }
}

impl Round {
    /// Asks every server and hears from all of them, or until one has answered where that is enough.
    async fn run(&mut self, link: &mut Link, request: &Request, servers: Vec<String>) -> io::Result<Exit> {
        for server in servers {
            let agent = AgentRequest { server: Some(server.clone()), ..AgentRequest::default() };
            match link.generate(Request { agent: Some(agent), ..request.clone() }).await {
                Ok(answer) => self.answers.push(Named { server, answer }),
                Err(error) => return Ok(fail(&error)),
            }
            self.asked += 1;
        }
        self.wait();
        while let Some((server, frame)) = self.answers.next().await {
            if matches!(&frame, Ok(frame) if !frame.is_terminal()) {
                continue;
            }
            self.open.retain(|open| *open != server);
            self.waiting.clear();
            if self.ended(&server, frame)? && self.any {
                return Ok(Exit::Ok);
            }
            self.wait();
        }
        Ok(match self.failures.as_slice() {
            [] => Exit::Ok,
            [.., last] if self.any => *last,
            [first, ..] if self.failures.len() == self.asked => *first,
            _ => Exit::Failed,
        })
    }

    /// Shows whose answers are missing.
    fn wait(&self) {
        if !self.open.is_empty() {
            self.waiting.again();
            self.waiting.say(&format!("waiting for {}", self.open.join(", ")));
        }
    }

    /// Tells how a server's request has ended; whether with an answer.
    fn ended(&mut self, server: &str, frame: Result<Response, ClientError>) -> io::Result<bool> {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                self.failed(server, &words::chain(&error), Exit::from(&error));
                return Ok(false);
            }
        };
        // Of a race only the winner's frame is printed.
        let is_answer = matches!(&frame, Response::Done { stop_reason, .. } if answers(*stop_reason));
        if self.json && (is_answer || !self.any) {
            #[derive(Serialize)]
            struct Line<'a> {
                server: &'a str,
                #[serde(flatten)]
                frame: &'a Response,
            }
            let mut line = serde_json::to_vec(&Line { server, frame: &frame })?;
            line.push(b'\n');
            io::stdout().write_all(&line)?;
        }
        match frame {
            Response::Error { code, message, retry_after_ms, queue, .. } => {
                self.failed(server, &words::refusal(code, &message, retry_after_ms, queue), code.into());
            }
            Response::Done { content, .. } if is_answer && !self.json => self.print(server, &content)?,
            Response::Done { stop_reason: StopReason::Cancelled, .. } => {
                self.failed(server, "cancelled", Exit::Interrupted);
            }
            Response::Done { .. } if !is_answer => {
                self.failed(server, "the answer broke off", Exit::BackendUnavailable);
            }
            Response::Done { .. } | Response::Token { .. } | Response::Status { .. } => {}
        }
        Ok(is_answer)
    }

    fn print(&mut self, server: &str, content: &str) -> io::Result<()> {
        let output = Output::of_stdout();
        if !self.any {
            let gap = if self.printed == 0 { "" } else { "\n" };
            match output {
                Output::Terminal => writeln!(io::stdout(), "{gap}\x1b[1m{server}\x1b[0m")?,
                Output::PlainTerminal | Output::Stream => writeln!(io::stdout(), "{gap}{server}:")?,
            }
        }
        self.printed += 1;
        let mut screen = Screen::new(io::stdout(), output);
        screen.token(content, None)?;
        screen.end()
    }

    fn failed(&mut self, server: &str, why: &str, exit: Exit) {
        eprintln!("inferd-cli: {server}: {why}");
        self.failures.push(exit);
    }

    /// Ends what is still open, and gives the daemon a moment to say so.
    async fn cancel(mut self) {
        self.waiting.clear();
        for named in &mut self.answers {
            named.answer.cancel();
        }
        let ended = async { while self.answers.next().await.is_some() {} };
        // One that says nothing is left: the connection ends with the program, and so do its requests.
        timeout(CANCEL_PATIENCE, ended).await.ok();
    }
}

/// Whether a request that ended so was answered.
fn answers(reason: StopReason) -> bool {
    match reason {
        StopReason::End | StopReason::Length | StopReason::ToolCalls => true,
        StopReason::Cancelled | StopReason::Error => false,
    }
}

/// An answer, and whose it is.
struct Named {
    server: String,
    answer: Answer,
}

impl Stream for Named {
    type Item = (String, Result<Response, ClientError>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let frame = ready!(self.answer.poll_next_unpin(cx));
        Poll::Ready(frame.map(|frame| (self.server.clone(), frame)))
    }
}

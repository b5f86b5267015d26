//! `ask`: one prompt in, one answer out, an exit code for how it went. On many servers at once: [`many`].

mod many;

use std::io::{self, IsTerminal, Read, Write};

use inferd_proto::{MAX_FRAME_BYTES, Message, Request, Response, Role, StopReason};

use crate::args::{AskArgs, Reach};
use crate::exit::Exit;
use crate::link::{Link, LinkError};
use crate::screen::{Output, Screen};
use crate::turn::{self, End};
use crate::waiting::Waiting;
use crate::words;

/// Asks, prints, and says how it went.
pub(crate) async fn run(args: AskArgs, reach: &Reach) -> anyhow::Result<Exit> {
    let Some(prompt) = prompt(args.prompt.as_deref())? else {
        eprintln!("inferd-cli: nothing to ask: give a prompt as an argument or on standard input");
        return Ok(Exit::Usage);
    };
    if !args.many.servers.is_empty() {
        return many::run(args, prompt, reach).await;
    }
    let waiting = Waiting::new();
    let json = args.json;
    let request = request(args, prompt, waiting.is_seen());
    let mut link = match Link::open(reach, request.model.as_deref(), false).await {
        Ok(link) => link,
        Err(error) => return Ok(fail(&error)),
    };
    let end = match link.generate(request).await {
        Ok(answer) if json => {
            turn::show(answer, &mut Screen::new(io::sink(), Output::Stream), &waiting).await
        }
        Ok(answer) => turn::show(answer, &mut Screen::new(io::stdout(), Output::of_stdout()), &waiting).await,
        Err(error) => {
            let exit = fail(&error);
            link.close().await;
            return Ok(exit);
        }
    };
    let exit = report(end, json);
    link.close().await;
    exit
}

/// The prompt: the argument, then what is on standard input. `None` where both are empty.
pub(crate) fn prompt(argument: Option<&str>) -> anyhow::Result<Option<String>> {
    let mut parts: Vec<String> = argument.map(str::to_owned).into_iter().collect();
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        let mut context = Vec::new();
        // One byte past what any daemon takes: then the client says that it is too large.
        stdin.lock().take(MAX_FRAME_BYTES as u64 + 1).read_to_end(&mut context)?;
        parts.push(
            String::from_utf8(context).map_err(|_| anyhow::anyhow!("standard input is not UTF-8 text"))?,
        );
    }
    parts.retain(|part| !part.trim().is_empty());
    Ok((!parts.is_empty()).then(|| parts.join("\n\n")))
}

fn request(args: AskArgs, prompt: String, progress: bool) -> Request {
    let system = args.system.map(|text| Message { role: Role::System, content: text.into() });
    let user = Message { role: Role::User, content: prompt.into() };
    Request {
        messages: system.into_iter().chain([user]).collect(),
        temperature: args.temperature,
        max_tokens: args.max_tokens,
        stream: (args.no_stream || args.json).then_some(false),
        model: args.model,
        priority: args.priority.map(Into::into),
        deadline_ms: args.deadline_ms,
        max_wait_ms: args.max_wait_ms,
        progress: progress.then_some(true),
        ..Request::default()
    }
}

/// Says how an answer ended; prints its last frame where `json` is wanted.
pub(crate) fn report(end: End, json: bool) -> anyhow::Result<Exit> {
    match end {
        End::Terminal(frame) => {
            if json {
                let mut line = serde_json::to_vec(&frame)?;
                line.push(b'\n');
                if let Err(error) = io::stdout().write_all(&line) {
                    return unread(error);
                }
            }
            Ok(match frame {
                Response::Error { code, message, retry_after_ms, queue, .. } => {
                    eprintln!("inferd-cli: {}", words::refusal(code, &message, retry_after_ms, queue));
                    code.into()
                }
                Response::Done { stop_reason: StopReason::Cancelled, .. } => Exit::Interrupted,
                Response::Done { .. } | Response::Token { .. } | Response::Status { .. } => Exit::Ok,
            })
        }
        End::Lost(error) => Ok(fail(&error.into())),
        End::Abandoned => Ok(Exit::Interrupted),
        End::Unread(error) => unread(error),
    }
}

/// A reader that has seen enough, such as `head`, is no fault.
fn unread(error: io::Error) -> anyhow::Result<Exit> {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(Exit::Ok),
        _ => Err(error.into()),
    }
}

/// Says why there is no answer.
pub(crate) fn fail(error: &LinkError) -> Exit {
    eprintln!("inferd-cli: {}", words::chain(error));
    error.exit()
}

//! `agent`: a task in, done by a model with tools, one answer out.

use std::io::{self, IsTerminal};

use inferd_proto::{AgentRequest, Message, Request, Response, Role};

use crate::args::{AgentArgs, Reach};
use crate::ask;
use crate::exit::Exit;
use crate::feature::{self, Feature};
use crate::screen::{Output, Screen};
use crate::turn::{self, End};
use crate::waiting::Waiting;

/// Has the task done, prints the answer, and says how it went.
pub(crate) async fn run(args: AgentArgs, reach: &Reach) -> anyhow::Result<Exit> {
    let Some(prompt) = ask::prompt(args.prompt.as_deref())? else {
        eprintln!("inferd-cli: nothing to do: give a task as an argument or on standard input");
        return Ok(Exit::Usage);
    };
    // Without a server the daemon's own lanes are used, with whatever tools there are.
    let wanted: &[Feature] =
        if args.server.is_some() { &[Feature::Servers, Feature::Agent] } else { &[Feature::Agent] };
    let mut link = match feature::open(reach, args.model.as_deref(), wanted).await {
        Ok(link) => link,
        Err(exit) => return Ok(exit),
    };
    let (waiting, json) = (Waiting::new(), args.json);
    // On the way to its answer a model says things that are none: only a person is shown them.
    let attended = io::stdout().is_terminal() && !json;
    let end = match link.generate(request(args, prompt, attended, waiting.is_seen())).await {
        Ok(answer) if json => {
            turn::show(answer, &mut Screen::new(io::sink(), Output::Stream), &waiting).await
        }
        Ok(answer) => turn::show(answer, &mut Screen::new(io::stdout(), Output::of_stdout()), &waiting).await,
        Err(error) => {
            let exit = ask::fail(&error);
            link.close().await;
            return Ok(exit);
        }
    };
    let note = note(&end).filter(|_| waiting.is_seen());
    let exit = ask::report(end, json);
    if let Some(note) = note {
        eprintln!("{note}");
    }
    link.close().await;
    exit
}

fn request(args: AgentArgs, prompt: String, stream: bool, progress: bool) -> Request {
    let AgentArgs { server, room, thread, max_steps, model, deadline_ms, .. } = args;
    Request {
        messages: vec![Message { role: Role::User, content: prompt.into() }],
        agent: Some(AgentRequest { server, room, thread, max_steps }),
        stream: (!stream).then_some(false),
        model,
        deadline_ms,
        progress: progress.then_some(true),
        ..Request::default()
    }
}

/// How the turn went, for a person who may go on with it.
fn note(end: &End) -> Option<String> {
    let End::Terminal(Response::Done { thread, steps, .. }) = end else { return None };
    let steps = match steps {
        None => None,
        Some(1) => Some("1 step".to_owned()),
        Some(steps) => Some(format!("{steps} steps")),
    };
    let thread = thread.as_ref().map(|thread| format!("--thread {thread} goes on with it"));
    let said: Vec<_> = steps.into_iter().chain(thread).collect();
    (!said.is_empty()).then(|| format!("({})", said.join("; ")))
}

//! The life of an agent request: turns of a model and, between them, the tools it calls, until it answers. Read from top to
//! bottom.
//!
//! A valid request with `agent` enters; events leave through [`Replies`]. Where it came from and what its frames look
//! like is not known here: every door that takes such requests uses this page.
//!
//! ```text
//! members     which server, and how far the request reaches   → lanes, tools
//! threads     whose conversation, new or come back to         → a place in it
//! runtime     room, tools, transcript                         → a session, or a refusal
//! turns       each turn of the model, as its caller's request → the page of every answer
//! federation  each tool that is called                        → its server
//! ```
//!
//! Invariants:
//! - Exactly one terminal event: `Done` through `replies`, or the error returned.
//! - A turn is admitted and routed as a request of its caller; while tools run no permit and no lane is held.
//! - Dropping the future at any point ends the session, its generation and its calls, which their servers are told.

mod error;
mod federation;
mod members;
mod rooms;
mod terms;
mod threads;
mod turns;

use std::sync::Arc;

use inferd_engine::servers::{AgentEvent, AgentResult, AgentSession, Limits, MultiServerRuntime, Spawn};
use inferd_engine::tools::{Report, ToolRegistry};
use inferd_proto::{AGENT_STEPS_MAX, Resolved, StopReason, Usage};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::answer::Clock;
use crate::config::RoomConfig;
use crate::queue::Client;
use crate::service::Service;
use crate::upstream::{Patience, Upstreams, Wanted};
pub(crate) use error::AgentError;
use members::{Members, Reach};
use rooms::Rooms;
use terms::Terms;
use threads::{Place, Threads};
use turns::{Board, Turns, Word};

/// What a request that names no server runs on, as its threads say.
pub(crate) const OWN: &str = crate::config::OWN_SERVER_ID;

/// How many steps a request takes at most that does not say.
const STEPS: u32 = 10;

/// What happens in an agent turn, in order.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// The model is about to take a step: what it said before was on the way to the answer.
    Begins,
    /// The step waits for its turn; 1 is next.
    Queued { step: u32, position: u32 },
    /// This lane has it.
    Running { step: u32, lane: &'a str },
    /// The lane that had it failed; this one has it now.
    Retrying { step: u32, lane: &'a str },
    /// The next piece of what the model says.
    Token(String),
    /// The next piece of its reasoning.
    Thinking(String),
    /// A tool is called.
    Calling { step: u32, tool: &'a str },
    /// How far it is.
    Progress { step: u32, tool: &'a str, report: Report },
    /// It has returned, or not: what the model reads of it is an error then.
    Called { step: u32, tool: &'a str, is_error: bool },
    /// The answer is complete: what was said in the last step.
    Done(Done<'a>),
}

/// How an agent turn ended.
#[derive(Debug)]
pub(crate) struct Done<'a> {
    /// Why the last step ended.
    pub(crate) stop_reason: StopReason,
    /// Tokens of all steps.
    pub(crate) usage: Usage,
    /// The lane of the last step.
    pub(crate) lane: &'a str,
    /// The model that took it, where the engine says so.
    pub(crate) model: Option<String>,
    /// Where the time went: to the first step's permit, and to the first token of any.
    pub(crate) clock: Clock,
    /// The conversation, for the next turn to name.
    pub(crate) thread: &'a str,
    /// How many steps it took.
    pub(crate) steps: u32,
}

/// Where the events of one agent turn go.
pub(crate) trait Replies: Send {
    /// Passes on an event.
    fn tell(&mut self, event: Event<'_>);

    /// Waits while the reader is behind.
    fn room(&self) -> impl Future<Output = ()> + Send;
}

/// Who asks: the account that every step is admitted under, and whose conversations they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) client: &'a Client,
    pub(crate) owner: &'a Arc<str>,
}

/// Runs `request`, which was received at `received`, until the model answers.
///
/// # Errors
/// [`AgentError`]: the request ended without its `Done`.
pub(crate) async fn run(
    service: &Arc<Service>,
    asker: Asker<'_>,
    mut request: Box<Resolved>,
    received: Instant,
    replies: &mut impl Replies,
) -> Result<(), AgentError> {
    let agents = &service.agents;
    let asked = *request.agent.take().unwrap_or_default();
    let server = asked.server.as_deref().unwrap_or(OWN);
    let Reach { lanes, tools } = agents.0.members.reach(server)?;
    let room = asked.room.unwrap_or_default();
    let thread = Place::take(&agents.0.threads, asker.owner, (server, &room), asked.thread, Instant::now())?;
    let terms = Terms { service, received, deadline: request.deadline };

    // What was left of it when the session begins is the session's.
    request.deadline = request.deadline.map(|after| after.saturating_sub(received.elapsed()));
    let board = Arc::new(Board::default());
    let lanes = lanes.unwrap_or_else(|| Arc::clone(&service.router));
    let turns = Turns::new(Arc::clone(service), lanes, asker.client.clone(), Arc::clone(&board));
    let spawn = Spawn {
        room_id: room,
        thread_id: Some(thread.id().to_owned()),
        request: *request,
        max_steps: Some(asked.max_steps.unwrap_or(STEPS)),
        runs: Some(Arc::new(turns)),
        tools: Some(tools),
    };
    let session = agents.0.runtime.spawn_with(server, spawn).await;
    let session = session.map_err(|error| terms.refused(error))?;
    follow(&session, &board, thread.id(), &terms, replies).await
}

/// Passes on what happens in `session`, to its end. It ends with this.
async fn follow(
    session: &AgentSession,
    board: &Board,
    thread: &str,
    terms: &Terms<'_>,
    replies: &mut impl Replies,
) -> Result<(), AgentError> {
    let mut reached = 0;
    let mut events = session.events().expect("the session is new, and nobody else knows of it");
    loop {
        // First the room, then the event: a session goes no further than its reader.
        replies.room().await;
        let event = tokio::select! {
            // Where a step stands is said after its beginning and before what the model says in it.
            biased;
            (step, word) = board.next(reached) => {
                replies.tell(match &word {
                    Word::Queued(position) => Event::Queued { step, position: *position },
                    Word::Running(lane) => Event::Running { step, lane },
                    Word::Retrying(lane) => Event::Retrying { step, lane },
                });
                continue;
            }
            event = events.next() => event.expect("its end is an event"),
        };
        match event {
            AgentEvent::Step { step } => {
                reached = step;
                replies.tell(Event::Begins);
            }
            AgentEvent::Token(text) => replies.tell(Event::Token(text)),
            AgentEvent::Thinking(text) => replies.tell(Event::Thinking(text)),
            AgentEvent::Turned { .. } => {}
            AgentEvent::Calling { step, tool, .. } => replies.tell(Event::Calling { step, tool: &tool }),
            AgentEvent::Progress { step, tool, report, .. } => {
                replies.tell(Event::Progress { step, tool: &tool, report });
            }
            AgentEvent::Called { step, tool, is_error, .. } => {
                replies.tell(Event::Called { step, tool: &tool, is_error });
            }
            AgentEvent::Ended(AgentResult::Success { steps, usage, stop_reason, model, .. }) => {
                let (lane, clock) = board.ended(terms.received);
                let done = Done { stop_reason, usage, lane: &lane, model, clock, thread, steps };
                replies.tell(Event::Done(done));
                return Ok(());
            }
            AgentEvent::Ended(AgentResult::Failure(failure)) => return Err(terms.failed(failure, board)),
            AgentEvent::Ended(AgentResult::Cancelled) => return Err(terms.ended()),
            AgentEvent::Ended(AgentResult::TimedOut) => return Err(terms.timed_out()),
        }
    }
}

/// What agent turns work with. Clones are of the same.
#[derive(Debug, Clone)]
pub(crate) struct Agents(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    runtime: MultiServerRuntime,
    members: Members,
    rooms: Rooms,
    threads: Threads,
    upstreams: Upstreams,
}

impl Agents {
    /// Turns on the daemon's own lanes, with the tools of `upstreams`; see [`Agents::reconfigure`] for servers and rooms.
    pub(crate) fn new(upstreams: Upstreams) -> Self {
        let (rooms, threads) = (Rooms::default(), Threads::default());
        let members = Members::new(upstreams.clone(), rooms.clone(), threads.clone());
        let limits = Limits { max_steps: AGENT_STEPS_MAX, ..Limits::default() };
        // Each session brings its own.
        let no_tools = Arc::new(|_room: String| async { Ok(ToolRegistry::new()) });
        let runtime = MultiServerRuntime::new(members.registry().clone(), no_tools, limits);
        Self(Arc::new(Inner { runtime, members, rooms, threads, upstreams }))
    }

    /// Makes these the servers and rooms there are. What runs on a server that is not among them, or not as it was, ends.
    pub(crate) fn reconfigure(&self, servers: impl IntoIterator<Item = Wanted>, rooms: &[RoomConfig]) {
        self.0.rooms.replace(rooms);
        self.0.members.replace(servers);
    }

    /// Turns on the daemon's own lanes, without any server.
    pub(crate) fn alone() -> Self {
        Self::new(Upstreams::new(Patience::default(), &CancellationToken::new()))
    }

    /// The servers whose tools they call.
    pub(crate) fn upstreams(&self) -> &Upstreams {
        &self.0.upstreams
    }

    /// The rooms that are configured, sorted.
    pub(crate) fn rooms(&self) -> Vec<String> {
        self.0.rooms.ids()
    }

    /// Ends all sessions for good, and waits until nothing of them is left.
    pub(crate) async fn dispose(&self) {
        self.0.runtime.dispose().await;
    }
}

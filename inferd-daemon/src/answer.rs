//! The life of a request, from admission to its terminal frame. Read this page first.
//!
//! A valid request enters; events leave through [`Replies`]. Where it came from and what its frames look like is not
//! known here: every door uses this page.
//!
//! Invariants:
//! - Exactly one terminal event: `Done` through `replies`, or the error returned.
//! - The permit is held until that event has been given to `replies`.
//! - Dropping the future at any point leaves the queue, frees the permit, cancels the generation, blames nobody.

mod limit;
mod said;

use std::future::Future;
use std::time::Duration;

use inferd_engine::{Embedded, GenerateError, TokenEvent};
use inferd_proto::{EmbedRequest, Resolved, StopReason, Timings, ToolCall, Usage};
use tokio::time::Instant;

use crate::queue::{Admission, Ask, Client, Permit, Place, Refused};
use crate::router::{RouteError, Router, Ticket, Tokens};
use limit::Limit;
pub(crate) use said::Said;

/// What happens to a request, in order.
#[derive(Debug)]
pub enum Event<'a> {
    /// It waits; 1 is next.
    Queued(u32),
    /// This lane has it.
    Running(&'a str),
    /// The lane that had it failed; this one has it now.
    Retrying(&'a str),
    /// The next piece of the answer.
    Token(String),
    /// The next piece of the reasoning.
    Thinking(String),
    /// The answer is complete.
    Done(Done<'a>),
}

/// How an answer ended.
#[derive(Debug)]
pub struct Done<'a> {
    /// Why it ended.
    pub stop_reason: StopReason,
    /// Tokens read and written.
    pub usage: Usage,
    /// The lane that answered.
    pub lane: &'a str,
    /// Tools the model wants called.
    pub tool_calls: Vec<ToolCall>,
    /// The model that answered, where the engine says so.
    pub model: Option<String>,
    /// Where the time went.
    pub clock: Clock,
}

/// The times of one request.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// When it was received.
    pub received: Instant,
    /// When it was given its permit.
    pub ran: Instant,
    /// When its first token came, if any did.
    pub first_token: Option<Instant>,
}

impl Clock {
    /// Where the time went until now.
    #[must_use]
    pub fn timings(&self) -> Timings {
        let since = |at: Instant| {
            u64::try_from(at.saturating_duration_since(self.received).as_millis()).unwrap_or(u64::MAX)
        };
        Timings {
            queue_ms: since(self.ran),
            first_token_ms: self.first_token.map(since),
            total_ms: since(Instant::now()),
        }
    }
}

/// Where the events of one request go.
pub trait Replies: Send {
    /// Passes on an event.
    fn tell(&mut self, event: Event<'_>);

    /// Waits while the reader is behind.
    fn room(&self) -> impl Future<Output = ()> + Send;
}

/// Why a request ended without an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It was not let in.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// No lane took it, or none began to answer.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The lane broke off after it had begun to answer.
    #[error("{error}")]
    CutShort {
        /// The lane.
        lane: String,
        /// What it said.
        error: GenerateError,
    },
    /// Its own time ran out.
    #[error("{limit} of {} ms passed", after.as_millis())]
    DeadlineExceeded {
        /// Which limit.
        limit: &'static str,
        /// The limit itself.
        after: Duration,
    },
}

/// Answers `request`, which was received at `received`.
///
/// # Errors
/// [`AnswerError`]: the request ended without its `Done`.
pub async fn answer(
    gate: &Admission,
    router: &Router,
    who: &Client,
    request: Box<Resolved>,
    received: Instant,
    replies: &mut impl Replies,
) -> Result<(), AnswerError> {
    let deadline = Limit { name: "deadline_ms", after: request.deadline, from: received };
    deadline
        .bounds(async {
            let (permit, ticket) = admit(gate, router, who, &request, received, replies).await?;
            replies.tell(Event::Running(ticket.lane()));
            let tokens = ticket.start(request, |lane| replies.tell(Event::Retrying(lane))).await?;
            stream(permit, tokens, received, replies).await
        })
        .await
}

/// Embeds the texts of `request`, which was received at `received`: the vectors, and the lane that made them.
///
/// # Errors
/// [`AnswerError`], as for an answer.
pub async fn embed(
    gate: &Admission,
    router: &Router,
    who: &Client,
    request: EmbedRequest,
    received: Instant,
) -> Result<(Embedded, String), AnswerError> {
    let request = Box::new(request);
    let ask = Ask::from(&*request);
    let place = gate.enter(who, &ask, router.room(), received)?;
    let mut permit = place.turn().await?;
    let ticket = route(router, &ask, &mut permit).await?;
    let (embedded, lane) = ticket.embed(request).await?;
    permit.correct_prompt(embedded.usage.prompt_tokens);
    Ok((embedded, lane))
}

/// Waits for the request's turn and for its lane, as long as it is willing to.
async fn admit<'a>(
    gate: &'a Admission,
    router: &'a Router,
    who: &'a Client,
    request: &Resolved,
    received: Instant,
    replies: &mut impl Replies,
) -> Result<(Permit<'a>, Ticket<'a>), AnswerError> {
    let max_wait = Limit { name: "max_wait_ms", after: request.max_wait, from: received };
    max_wait
        .bounds(async {
            let ask = Ask::from(request);
            let place = gate.enter(who, &ask, router.room(), received)?;
            let _stand_off = match (&place, &request.caller.session) {
                (Place::Waiting(_), Some(session)) => router.stand_off(session)?,
                _ => Vec::new(),
            };
            let mut permit = if request.progress {
                place.turn_watched(|position| replies.tell(Event::Queued(position))).await?
            } else {
                place.turn().await?
            };
            let ticket = route(router, &ask, &mut permit).await?;
            Ok((permit, ticket))
        })
        .await
}

/// Picks the lane of a request that has its turn; the room that the gate kept for it is its own then.
async fn route<'r>(
    router: &'r Router,
    ask: &Ask<'_>,
    permit: &mut Permit<'_>,
) -> Result<Ticket<'r>, RouteError> {
    let ticket = router.route(ask.need, permit.since()).await?;
    permit.seated();
    Ok(ticket)
}

/// Passes the answer on, event by event, and settles with its lane.
async fn stream(
    mut permit: Permit<'_>,
    // Dropped before the permit: whoever is next finds the lane's room too.
    mut tokens: Tokens,
    received: Instant,
    replies: &mut impl Replies,
) -> Result<(), AnswerError> {
    let mut clock = Clock { received, ran: permit.since(), first_token: None };
    loop {
        // First the room, then the event: nothing is taken from upstream that nobody reads.
        replies.room().await;
        match tokens.next().await {
            TokenEvent::Token(text) => {
                permit.charge_token();
                clock.first_token.get_or_insert(tokens.began());
                replies.tell(Event::Token(text));
            }
            TokenEvent::Thinking(text) => {
                permit.charge_token();
                clock.first_token.get_or_insert(tokens.began());
                replies.tell(Event::Thinking(text));
            }
            TokenEvent::Done { stop_reason, usage, tool_calls, model } => {
                permit.correct_prompt(usage.prompt_tokens);
                let done = Done { stop_reason, usage, lane: tokens.lane(), tool_calls, model, clock };
                replies.tell(Event::Done(done));
                tokens.served();
                return Ok(());
            }
            TokenEvent::Failed(error) => {
                let lane = tokens.lane().to_owned();
                tokens.failed(&error);
                return Err(AnswerError::CutShort { lane, error });
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! A model that takes the turns it was told to take.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{Stream, StreamExt, stream};
use inferd_proto::{FunctionCall, FunctionTag, Resolved, StopReason, ToolCall, Usage};
use tokio::sync::watch;

use crate::servers::RunStream;
use crate::{GenerateError, TokenEvent, TokenStream};

/// One turn of the model.
#[derive(Debug, Clone)]
pub enum ScriptedTurn {
    /// Says each of these, and ends.
    Say(Vec<String>),
    /// Calls these tools: names, and arguments as the model writes them. The ids are `c0`, `c1`, …
    Call(Vec<(String, String)>),
    /// Streams exactly this, then just ends.
    Events(Vec<TokenEvent>),
    /// Says each of these, then nothing, and never ends.
    Hang(Vec<String>),
    /// Says this again and again, and never ends.
    Endless(String),
    /// Does not begin.
    Refuse(GenerateError),
    /// Never begins.
    NeverBegin,
    /// Panics once it has begun.
    Panic,
    /// Waits so long, then does that.
    After(Duration, Box<ScriptedTurn>),
}

impl ScriptedTurn {
    /// Says `text`, and ends.
    #[must_use]
    pub fn say(text: &str) -> Self {
        Self::Say(vec![text.to_owned()])
    }

    /// Calls one tool.
    #[must_use]
    pub fn call(name: &str, arguments: &str) -> Self {
        Self::Call(vec![(name.to_owned(), arguments.to_owned())])
    }

    /// Never says anything.
    #[must_use]
    pub fn silence() -> Self {
        Self::Hang(Vec::new())
    }
}

/// See the module. Its turns come in their order, the last of them again and again.
#[derive(Debug)]
pub struct ScriptedRuns {
    turns: Mutex<VecDeque<ScriptedTurn>>,
    requests: Mutex<Vec<Resolved>>,
    counts: watch::Sender<Counts>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    begun: usize,
    live: usize,
}

impl ScriptedRuns {
    /// Takes these turns.
    ///
    /// # Panics
    /// Where there are none.
    #[must_use]
    pub fn new(turns: impl IntoIterator<Item = ScriptedTurn>) -> Self {
        let turns: VecDeque<_> = turns.into_iter().collect();
        assert!(!turns.is_empty(), "a model needs something to do");
        Self { turns: Mutex::new(turns), requests: Mutex::default(), counts: watch::Sender::default() }
    }

    /// What it was asked, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Resolved> {
        lock(&self.requests).clone()
    }

    /// Turns begun.
    #[must_use]
    pub fn begun(&self) -> usize {
        self.counts.borrow().begun
    }

    /// Turns that have neither come to their end nor been dropped.
    #[must_use]
    pub fn live(&self) -> usize {
        self.counts.borrow().live
    }

    /// Waits until so many turns have begun.
    pub async fn until_begun(&self, turns: usize) {
        self.until(|counts| counts.begun >= turns).await;
    }

    /// Waits until so many turns are under way.
    pub async fn until_live(&self, turns: usize) {
        self.until(|counts| counts.live == turns).await;
    }

    async fn until(&self, holds: impl FnMut(&Counts) -> bool) {
        self.counts.subscribe().wait_for(holds).await.expect("the sender is our own");
    }

    fn next(&self) -> ScriptedTurn {
        let mut turns = lock(&self.turns);
        if turns.len() > 1 { turns.pop_front() } else { turns.front().cloned() }.expect("there is one")
    }
}

#[async_trait]
impl RunStream for ScriptedRuns {
    async fn run(&self, turn: Resolved) -> Result<TokenStream, GenerateError> {
        lock(&self.requests).push(turn);
        let live = Live::new(&self.counts);
        let mut next = self.next();
        while let ScriptedTurn::After(delay, then) = next {
            tokio::time::sleep(delay).await;
            next = *then;
        }
        Ok(Box::pin(Played { events: play(next).await?, _live: live }))
    }
}

async fn play(turn: ScriptedTurn) -> Result<TokenStream, GenerateError> {
    let said = |texts: Vec<String>| stream::iter(texts).map(TokenEvent::Token);
    Ok(match turn {
        ScriptedTurn::Say(texts) => {
            let usage = u32::try_from(texts.len()).unwrap_or(u32::MAX);
            Box::pin(said(texts).chain(stream::iter([done(usage, Vec::new())])))
        }
        ScriptedTurn::Call(calls) => {
            let calls = calls.into_iter().enumerate().map(|(index, (name, arguments))| ToolCall {
                id: format!("c{index}"),
                r#type: FunctionTag::Function,
                function: FunctionCall { name, arguments },
            });
            Box::pin(stream::iter([done(1, calls.collect())]))
        }
        ScriptedTurn::Events(events) => Box::pin(stream::iter(events)),
        ScriptedTurn::Hang(texts) => Box::pin(said(texts).chain(stream::pending())),
        ScriptedTurn::Endless(text) => Box::pin(stream::repeat(TokenEvent::Token(text))),
        ScriptedTurn::Refuse(error) => return Err(error),
        ScriptedTurn::NeverBegin => std::future::pending().await,
        ScriptedTurn::Panic => Box::pin(stream::poll_fn(|_| panic!("the model was told to panic"))),
        ScriptedTurn::After(..) => unreachable!("it was waited for"),
    })
}

/// One token read for each turn, and so many said.
fn done(completion_tokens: u32, tool_calls: Vec<ToolCall>) -> TokenEvent {
    let stop_reason = if tool_calls.is_empty() { StopReason::End } else { StopReason::ToolCalls };
    let usage = Usage { prompt_tokens: 1, completion_tokens };
    TokenEvent::Done { stop_reason, usage, tool_calls, model: Some("scripted".to_owned()) }
}

struct Played {
    events: TokenStream,
    _live: Live,
}

impl Stream for Played {
    type Item = TokenEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<TokenEvent>> {
        self.events.poll_next_unpin(cx)
    }
}

/// Counts a turn while it is held.
struct Live(watch::Sender<Counts>);

impl Live {
    fn new(counts: &watch::Sender<Counts>) -> Self {
        counts.send_modify(|counts| {
            counts.begun += 1;
            counts.live += 1;
        });
        Self(counts.clone())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.send_modify(|counts| counts.live -= 1);
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

//! A backend for tests that does in each call what the test says, and shows what was done to it.

mod vectors;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{Stream, StreamExt, stream};
use inferd_engine::{Backend, GenerateError, TokenEvent, TokenStream};
use inferd_proto::{FunctionCall, FunctionTag, Resolved, StopReason, ToolCall, Usage};
use tokio::sync::{mpsc, watch};

pub(crate) use vectors::Vectors;

/// What one call of [`Backend::generate`] does.
pub(crate) enum Turn {
    /// It fails before there is a stream.
    Refuse(GenerateError),
    /// It says nothing for so long, and then fails before there is a stream.
    RefuseAfter(Duration, GenerateError),
    /// It never answers.
    Hang,
    /// It says these events, and its stream ends.
    Say(Vec<TokenEvent>),
    /// It says these events, and then nothing.
    SayAndHang(Vec<TokenEvent>),
    /// It says what the test sends, and its stream ends with the sender.
    Follow(mpsc::Receiver<TokenEvent>),
    /// It says this token for ever, as fast as it is asked.
    Endless(String),
}

type Script = dyn Fn(usize, &Resolved) -> Turn + Send + Sync;

/// See the module.
pub(crate) struct Scripted {
    name: String,
    ready: AtomicBool,
    script: Box<Script>,
    /// Requests it was given, in order.
    seen: watch::Sender<Vec<Resolved>>,
    /// Generations that were begun and not dropped, be it before or after they had a stream.
    alive: Arc<watch::Sender<usize>>,
    /// Events taken out of its streams.
    said: Arc<AtomicUsize>,
}

impl Scripted {
    /// A backend whose call number `n` (from 0) does `script(n, request)`.
    pub(crate) fn new(
        name: &str,
        script: impl Fn(usize, &Resolved) -> Turn + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            ready: AtomicBool::new(true),
            script: Box::new(script),
            seen: watch::Sender::default(),
            alive: Arc::default(),
            said: Arc::default(),
        })
    }

    /// A backend that always answers with `tokens`.
    pub(crate) fn saying(name: &str, tokens: &'static [&'static str]) -> Arc<Self> {
        Self::new(name, |_, _| Turn::Say(answer(tokens)))
    }

    /// A backend that fails every call with `error` before there is a stream.
    pub(crate) fn refusing(name: &str, error: GenerateError) -> Arc<Self> {
        Self::new(name, move |_, _| Turn::Refuse(error.clone()))
    }

    /// A backend that never answers.
    pub(crate) fn hanging(name: &str) -> Arc<Self> {
        Self::new(name, |_, _| Turn::Hang)
    }

    pub(crate) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    /// How often it was called.
    pub(crate) fn calls(&self) -> usize {
        self.seen.borrow().len()
    }

    /// The requests it was given.
    pub(crate) fn seen(&self) -> Vec<Resolved> {
        self.seen.borrow().clone()
    }

    /// Generations under way.
    pub(crate) fn alive(&self) -> usize {
        *self.alive.borrow()
    }

    /// Events taken out of its streams.
    pub(crate) fn said(&self) -> usize {
        self.said.load(Ordering::Relaxed)
    }

    /// Waits until it was called `calls` times.
    pub(crate) async fn called(&self, calls: usize) {
        within_reason(self.seen.subscribe().wait_for(|seen| seen.len() >= calls)).await;
    }

    /// Waits until no generation is under way.
    pub(crate) async fn let_go(&self) {
        within_reason(self.alive.subscribe().wait_for(|alive| *alive == 0)).await;
    }
}

#[async_trait]
impl Backend for Scripted {
    fn name(&self) -> &str {
        &self.name
    }

    fn ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    async fn generate(&self, request: Resolved) -> Result<TokenStream, GenerateError> {
        let turn = (self.script)(self.calls(), &request);
        self.alive.send_modify(|alive| *alive += 1);
        let life = Life(Arc::clone(&self.alive));
        self.seen.send_modify(|seen| seen.push(request));
        let events: TokenStream = match turn {
            Turn::Refuse(error) => return Err(error),
            Turn::RefuseAfter(time, error) => {
                tokio::time::sleep(time).await;
                return Err(error);
            }
            Turn::Hang => std::future::pending().await,
            Turn::Say(events) => Box::pin(stream::iter(events)),
            Turn::SayAndHang(events) => Box::pin(stream::iter(events).chain(stream::pending())),
            Turn::Follow(events) => {
                Box::pin(stream::unfold(events, |mut events| async { Some((events.recv().await?, events)) }))
            }
            Turn::Endless(token) => Box::pin(stream::repeat(TokenEvent::Token(token))),
        };
        Ok(Box::pin(Watched { events, said: Arc::clone(&self.said), _life: life }))
    }
}

/// Waits, but not for ever where the clock is paused: a test that waits in vain fails.
async fn within_reason<T, E: std::fmt::Debug>(condition: impl Future<Output = Result<T, E>>) {
    let met = tokio::time::timeout(Duration::from_secs(3600), condition).await;
    drop(met.expect("it happens").expect("whoever makes it happen is there"));
}

struct Life(Arc<watch::Sender<usize>>);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.send_modify(|alive| *alive -= 1);
    }
}

struct Watched {
    events: TokenStream,
    said: Arc<AtomicUsize>,
    _life: Life,
}

impl Stream for Watched {
    type Item = TokenEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<TokenEvent>> {
        let event = self.events.poll_next_unpin(cx);
        if let Poll::Ready(Some(_)) = &event {
            self.said.fetch_add(1, Ordering::Relaxed);
        }
        event
    }
}

pub(crate) fn token(text: &str) -> TokenEvent {
    TokenEvent::Token(text.to_owned())
}

/// The end of an answer of `completion_tokens` tokens.
pub(crate) fn done(completion_tokens: u32) -> TokenEvent {
    TokenEvent::Done {
        stop_reason: StopReason::End,
        usage: Usage { prompt_tokens: 1, completion_tokens },
        tool_calls: Vec::new(),
        model: None,
    }
}

/// The end of a turn in which these tools are called, each with arguments as the model writes them.
pub(crate) fn calling(calls: &[(&str, &str)]) -> TokenEvent {
    let call = |(n, (name, arguments)): (usize, &(&str, &str))| ToolCall {
        id: format!("call {n}"),
        r#type: FunctionTag::Function,
        function: FunctionCall { name: (*name).to_owned(), arguments: (*arguments).to_owned() },
    };
    TokenEvent::Done {
        stop_reason: StopReason::ToolCalls,
        usage: Usage { prompt_tokens: 1, completion_tokens: 1 },
        tool_calls: calls.iter().enumerate().map(call).collect(),
        model: None,
    }
}

/// A whole answer.
pub(crate) fn answer(tokens: &[&str]) -> Vec<TokenEvent> {
    let end = done(u32::try_from(tokens.len()).unwrap());
    tokens.iter().map(|text| token(text)).chain([end]).collect()
}

/// A valid request.
pub(crate) fn request(id: &str) -> Resolved {
    inferd_proto::Request {
        id: id.to_owned(),
        messages: vec![inferd_proto::Message { role: inferd_proto::Role::User, content: "hi".into() }],
        ..inferd_proto::Request::default()
    }
    .resolve()
    .expect("it is valid")
}

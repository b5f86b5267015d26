//! The model's turns of one session: each enters as a request of the session's caller and leaves as a stream, by way of the
//! page that every answer takes.
//!
//! Invariants:
//! - There is no task behind a stream: the answer goes on while the session asks for its next event, and no further than
//!   one event ahead. Dropping the stream drops its place, permit and generation.
//! - Where a turn stands is noted on the session's board; nothing there waits for a reader.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures_util::Stream;
use futures_util::task::AtomicWaker;
use inferd_engine::servers::RunStream;
use inferd_engine::{GenerateError, TokenEvent, TokenStream};
use inferd_proto::Resolved;
use tokio::time::Instant;

use crate::answer::{AnswerError, Clock, Event, Replies, answer};
use crate::queue::Client;
use crate::router::{RouteError, Router};
use crate::service::Service;

/// Takes the turns of one session.
pub(super) struct Turns {
    service: Arc<Service>,
    lanes: Arc<Router>,
    client: Client,
    board: Arc<Board>,
}

impl Turns {
    pub(super) fn new(service: Arc<Service>, lanes: Arc<Router>, client: Client, board: Arc<Board>) -> Self {
        Self { service, lanes, client, board }
    }
}

#[async_trait]
impl RunStream for Turns {
    async fn run(&self, turn: Resolved) -> Result<TokenStream, GenerateError> {
        let step = self.board.begin();
        let slot = Arc::<Slot>::default();
        let mut feeder = Feeder { slot: Arc::clone(&slot), board: Arc::clone(&self.board), step };
        let (service, lanes, client) =
            (Arc::clone(&self.service), Arc::clone(&self.lanes), self.client.clone());
        let answered = Box::pin(async move {
            answer(&service.gate, &lanes, &client, Box::new(turn), Instant::now(), &mut feeder).await
        });
        Ok(Box::pin(Answering { answered: Some(answered), slot, board: Arc::clone(&self.board) }))
    }
}

type Answered = Pin<Box<dyn Future<Output = Result<(), AnswerError>> + Send>>;

/// An answer under way.
struct Answering {
    answered: Option<Answered>,
    slot: Arc<Slot>,
    board: Arc<Board>,
}

impl Stream for Answering {
    type Item = TokenEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<TokenEvent>> {
        if let Some(event) = self.slot.take() {
            return Poll::Ready(Some(event));
        }
        let Some(answered) = &mut self.answered else { return Poll::Ready(None) };
        let ended = answered.as_mut().poll(cx);
        if let Poll::Ready(ended) = ended {
            // With it go the permit and the lane.
            self.answered = None;
            if let Err(error) = ended {
                self.slot.put(TokenEvent::Failed(as_generated(&error)));
                self.board.failed(error);
            }
        }
        match (self.slot.take(), &self.answered) {
            (Some(event), _) => Poll::Ready(Some(event)),
            (None, Some(_)) => Poll::Pending,
            (None, None) => Poll::Ready(None),
        }
    }
}

/// As much of an error as a session knows; the rest is on the board.
fn as_generated(error: &AnswerError) -> GenerateError {
    match error {
        AnswerError::CutShort { error, .. } | AnswerError::Route(RouteError::Lane { error, .. }) => {
            error.clone()
        }
        error => GenerateError::Unavailable(error.to_string()),
    }
}

/// Room for what the answer says until the session takes it. Both are the same task, so nobody has to be woken.
#[derive(Debug, Default)]
struct Slot(Mutex<VecDeque<TokenEvent>>);

impl Slot {
    fn put(&self, event: TokenEvent) {
        self.lock().push_back(event);
    }

    fn take(&self) -> Option<TokenEvent> {
        self.lock().pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<TokenEvent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the events of one turn go.
struct Feeder {
    slot: Arc<Slot>,
    board: Arc<Board>,
    step: u32,
}

impl Replies for Feeder {
    fn tell(&mut self, event: Event<'_>) {
        match event {
            Event::Queued(position) => self.board.note(self.step, Word::Queued(position)),
            Event::Running(lane) => self.board.note(self.step, Word::Running(lane.into())),
            Event::Retrying(lane) => self.board.note(self.step, Word::Retrying(lane.into())),
            Event::Token(text) => self.slot.put(TokenEvent::Token(text)),
            Event::Thinking(text) => self.slot.put(TokenEvent::Thinking(text)),
            Event::Done(done) => {
                self.board.served(done.lane, done.clock);
                let (stop_reason, usage) = (done.stop_reason, done.usage);
                let (tool_calls, model) = (done.tool_calls, done.model);
                self.slot.put(TokenEvent::Done { stop_reason, usage, tool_calls, model });
            }
        }
    }

    async fn room(&self) {
        // Polled only by a session that wants the next event.
        poll_fn(|_| if self.slot.lock().is_empty() { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// It waits; 1 is next.
    Queued(u32),
    /// This lane has it.
    Running(String),
    /// The lane that had it failed; this one has it now.
    Retrying(String),
}

/// What is known of a session's turns beside what the model says in them.
#[derive(Debug, Default)]
pub(super) struct Board {
    state: Mutex<Noted>,
    reader: AtomicWaker,
}

#[derive(Debug, Default)]
struct Noted {
    step: u32,
    /// What was not read yet. Of places in the queue only the latest counts, and a step tries each lane at most once.
    words: VecDeque<(u32, Word)>,
    lane: String,
    /// When the first step ran.
    ran: Option<Instant>,
    first_token: Option<Instant>,
    error: Option<AnswerError>,
}

impl Board {
    /// The next thing to say of where this step stands, or one before it: a step that has begun while its reader was behind
    /// is spoken of when it is reached. Dropping the future loses nothing.
    pub(super) async fn next(&self, step: u32) -> (u32, Word) {
        poll_fn(|cx| {
            // Before the look, so that what is noted after it is not missed.
            self.reader.register(cx.waker());
            let mut noted = self.lock();
            let is_due = noted.words.front().is_some_and(|&(of, _)| of <= step);
            let due = if is_due { noted.words.pop_front() } else { None };
            due.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// The lane of the last step, and where the time of a request received at `received` went.
    pub(super) fn ended(&self, received: Instant) -> (String, Clock) {
        let noted = self.lock();
        let ran = noted.ran.unwrap_or(received);
        (noted.lane.clone(), Clock { received, ran, first_token: noted.first_token })
    }

    /// Why the last step failed, if it did.
    pub(super) fn error(&self) -> Option<AnswerError> {
        self.lock().error.clone()
    }

    fn begin(&self) -> u32 {
        let mut noted = self.lock();
        noted.step += 1;
        noted.step
    }

    fn note(&self, step: u32, word: Word) {
        let mut noted = self.lock();
        match &word {
            Word::Queued(_) => {
                let is_older = |(_, word): &(u32, Word)| matches!(word, Word::Queued(_));
                if noted.words.back().is_some_and(is_older) {
                    noted.words.pop_back();
                }
            }
            Word::Running(lane) | Word::Retrying(lane) => noted.lane.clone_from(lane),
        }
        noted.words.push_back((step, word));
        drop(noted);
        self.reader.wake();
    }

    fn served(&self, lane: &str, clock: Clock) {
        let mut noted = self.lock();
        lane.clone_into(&mut noted.lane);
        noted.ran.get_or_insert(clock.ran);
        noted.first_token = noted.first_token.or(clock.first_token);
    }

    /// Only the last step can fail.
    fn failed(&self, error: AnswerError) {
        self.lock().error = Some(error);
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        // No code that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

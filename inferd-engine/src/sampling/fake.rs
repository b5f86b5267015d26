//! A peer that does as it is told: for tests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rmcp::model::{CreateMessageRequestParams, CreateMessageResult, Role, SamplingMessage};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::call::Call;
use super::client::{Offer, SamplingClient};
use super::error::SamplingError;
use super::signs::Signs;
use super::text::text;

/// What a [`FakeSamplingClient`] does with one call.
#[derive(Debug, Clone)]
pub enum FakeAnswer {
    /// Answers with this text.
    Text(String),
    /// Answers each task of a merged request with what this makes of the text of its last message; `None` leaves the
    /// task out. A request of one call is answered in the same way.
    Each(fn(&str) -> Option<String>),
    /// Answers with no content at all.
    Empty,
    /// Its user declines.
    Refused,
    /// Is lost on the way.
    Transport,
    /// Answers with text that is no JSON, as the user.
    Malformed,
    /// Answers with this.
    Answer(Box<CreateMessageResult>),
    /// Fails with this.
    Error(SamplingError),
    /// After so long, does that.
    After(Duration, Box<FakeAnswer>),
    /// So many times: waits so long and reports progress. Then does that.
    Progress(u32, Duration, Box<FakeAnswer>),
    /// Never answers.
    Never,
    /// Panics.
    Panic,
}

/// The fake peer. Its answers come in their order, the last of them again and again.
#[derive(Debug)]
pub struct FakeSamplingClient {
    answers: Mutex<VecDeque<FakeAnswer>>,
    requests: Mutex<Vec<Call>>,
    counts: watch::Sender<Counts>,
    offer: Mutex<Offer>,
    session: Option<Arc<str>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    begun: usize,
    cancelled: usize,
}

impl FakeSamplingClient {
    /// Does these in turn, then the last again and again; nothing at all is [`FakeAnswer::Empty`].
    #[must_use]
    pub fn sequence(answers: impl IntoIterator<Item = FakeAnswer>) -> Self {
        Self {
            answers: Mutex::new(answers.into_iter().collect()),
            requests: Mutex::default(),
            counts: watch::Sender::default(),
            offer: Mutex::default(),
            session: None,
        }
    }

    /// Always answers with `text`.
    #[must_use]
    pub fn canned(text: impl Into<String>) -> Self {
        Self::sequence([FakeAnswer::Text(text.into())])
    }

    /// Always answers with `text`, after `delay`.
    #[must_use]
    pub fn slow(text: impl Into<String>, delay: Duration) -> Self {
        Self::sequence([FakeAnswer::After(delay, Box::new(FakeAnswer::Text(text.into())))])
    }

    /// Always answers with nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self::sequence([FakeAnswer::Empty])
    }

    /// Always refuses.
    #[must_use]
    pub fn refused() -> Self {
        Self::sequence([FakeAnswer::Refused])
    }

    /// Is always lost on the way.
    #[must_use]
    pub fn transport_error() -> Self {
        Self::sequence([FakeAnswer::Transport])
    }

    /// Always answers with what is no answer.
    #[must_use]
    pub fn malformed() -> Self {
        Self::sequence([FakeAnswer::Malformed])
    }

    /// The same, as the peer of `session`.
    #[must_use]
    pub fn of_session(mut self, session: &str) -> Self {
        self.session = Some(session.into());
        self
    }

    /// Sets what it offers.
    pub fn set_offer(&self, offer: Offer) {
        *lock(&self.offer) = offer;
    }

    /// What it was asked, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<CreateMessageRequestParams> {
        self.calls().into_iter().map(|call| call.params).collect()
    }

    /// The same, with who asked.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.requests).clone()
    }

    /// How many calls were dropped before they were answered.
    #[must_use]
    pub fn cancelled(&self) -> usize {
        self.counts.borrow().cancelled
    }

    /// Waits until it was asked so often.
    pub async fn until_asked(&self, times: usize) {
        self.until(|counts| counts.begun >= times).await;
    }

    /// Waits until so many calls were dropped.
    pub async fn until_cancelled(&self, times: usize) {
        self.until(|counts| counts.cancelled >= times).await;
    }

    async fn until(&self, holds: impl FnMut(&Counts) -> bool) {
        self.counts.subscribe().wait_for(holds).await.expect("the sender is our own");
    }

    fn next(&self) -> FakeAnswer {
        let mut answers = lock(&self.answers);
        match answers.len() {
            0 => FakeAnswer::Empty,
            1 => answers[0].clone(),
            _ => answers.pop_front().expect("there are several"),
        }
    }
}

#[async_trait]
impl SamplingClient for FakeSamplingClient {
    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
    ) -> Result<CreateMessageResult, SamplingError> {
        self.call(Call::from(params)).await
    }

    async fn call(&self, call: Call) -> Result<CreateMessageResult, SamplingError> {
        call.signs.alive();
        lock(&self.requests).push(call.clone());
        self.counts.send_modify(|counts| counts.begun += 1);
        let mut under_way = UnderWay(Some(&self.counts));
        let answer = play(self.next(), &call.params, &call.signs).await;
        under_way.0 = None;
        answer
    }

    fn offer(&self) -> Offer {
        *lock(&self.offer)
    }

    fn session(&self) -> Option<Arc<str>> {
        self.session.clone()
    }
}

/// Counts a call that is dropped.
struct UnderWay<'a>(Option<&'a watch::Sender<Counts>>);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(counts) = self.0 {
            counts.send_modify(|counts| counts.cancelled += 1);
        }
    }
}

async fn play(
    mut answer: FakeAnswer,
    params: &CreateMessageRequestParams,
    signs: &Signs,
) -> Result<CreateMessageResult, SamplingError> {
    loop {
        let result =
            |message| Ok(CreateMessageResult::new(message, "fake".to_owned()).with_stop_reason("endTurn"));
        return match answer {
            FakeAnswer::Text(text) => result(SamplingMessage::assistant_text(text)),
            FakeAnswer::Each(make) => result(SamplingMessage::assistant_text(each(params, make))),
            FakeAnswer::Empty => result(SamplingMessage::new_multiple(Role::Assistant, Vec::new())),
            FakeAnswer::Malformed => result(SamplingMessage::user_text("no JSON, and nobody's answer")),
            FakeAnswer::Refused => Err(SamplingError::said(-1, "the user rejected the request")),
            FakeAnswer::Transport => Err(SamplingError::Transport("the session ended".to_owned())),
            FakeAnswer::Answer(result) => Ok(*result),
            FakeAnswer::Error(error) => Err(error),
            FakeAnswer::Never => std::future::pending().await,
            FakeAnswer::Panic => panic!("the fake peer was told to panic"),
            FakeAnswer::After(delay, then) => {
                tokio::time::sleep(delay).await;
                answer = *then;
                continue;
            }
            FakeAnswer::Progress(times, every, then) => {
                for _ in 0..times {
                    tokio::time::sleep(every).await;
                    signs.alive();
                }
                answer = *then;
                continue;
            }
        };
    }
}

/// What `make` says to each task, or to the only call.
fn each(params: &CreateMessageRequestParams, make: fn(&str) -> Option<String>) -> String {
    let last = params.messages.last().and_then(text).unwrap_or_default();
    let merged: Option<Value> = serde_json::from_str(&last).ok();
    let Some(tasks) = merged.as_ref().and_then(|merged| merged["tasks"].as_array()) else {
        return make(&last).unwrap_or_default();
    };
    let answers = tasks.iter().filter_map(|task| {
        let said = task["messages"].as_array()?.last()?["content"].as_str()?;
        Some(json!({"task_index": task["task_index"], "response": make(said)?}))
    });
    Value::Array(answers.collect()).to_string()
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

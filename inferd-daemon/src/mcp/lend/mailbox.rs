//! A lender that comes and goes: calls wait in it, are taken in rounds, and are answered by the number they had.
//!
//! Calls enter by [`SamplingClient`], from whoever wants an answer. Rounds of them leave to the one visitor, who brings
//! the answers when it comes again. Each call is a request of its own, as the client's user sees all of a round
//! together: nothing is merged, and no coordinator stands before a mailbox.
//!
//! Invariants:
//! - A call whose caller has left is neither shown nor answered.
//! - An answer that is missing or is none fails its own call and no other.
//! - Where the lender has left, or has not come back by its time, each of its calls ends, as one that may be given to
//!   another. Each call watches for that itself.

mod letters;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use inferd_engine::sampling::{
    Call, CreateMessageRequestParams, CreateMessageResult, Offer, SamplingClient, SamplingError, Signs,
};
use rmcp::model::InputResponses;
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use letters::{Answered, Letter, Letters};

/// See the module.
#[derive(Debug)]
pub(crate) struct Mailbox {
    letters: Mutex<Letters>,
    arrived: Notify,
    /// Until when the lender has to be back. `None`: it is here.
    awaited: watch::Sender<Option<Instant>>,
    session: Arc<str>,
    tools: bool,
}

/// The name of a call within its round.
pub(crate) type Key = String;

impl Mailbox {
    /// That of a lender who is here, called `session`, which may take `tools`.
    pub(crate) fn new(session: Arc<str>, tools: bool) -> Arc<Self> {
        Arc::new(Self {
            letters: Mutex::default(),
            arrived: Notify::new(),
            awaited: watch::Sender::new(None),
            session,
            tools,
        })
    }

    /// Waits for work, and for its company, and takes a round of it, which holds at least one call. Dropped, it has
    /// taken none.
    pub(crate) async fn round(&self) -> Vec<(Key, CreateMessageRequestParams)> {
        loop {
            let due = self.letters().due();
            match due {
                None => self.arrived.notified().await,
                Some(due) if due > Instant::now() => {
                    tokio::select! {
                        () = self.arrived.notified() => {}
                        () = sleep_until(due) => {}
                    }
                }
                Some(_) => {
                    let round = self.take();
                    if !round.is_empty() {
                        return round;
                    }
                }
            }
        }
    }

    fn take(&self) -> Vec<(Key, CreateMessageRequestParams)> {
        let mut letters = self.letters();
        let round = letters.take().into_iter().map(|(number, letter)| {
            letter.signs.alive();
            (key(number), letter.params.clone())
        });
        round.collect()
    }

    /// Gives the calls of the last round their answers, and says how many had one.
    pub(crate) fn answer(&self, mut answers: InputResponses) -> usize {
        let asked = self.letters().give_out();
        let mut answered = 0;
        for (number, letter) in asked {
            let answer = match answers.remove(&key(number)) {
                None => Err(SamplingError::Unanswered),
                Some(answer) => read(answer),
            };
            let good = answer.is_ok();
            // It is given back where the caller has just left.
            if letter.answer.send(answer).is_ok() && good {
                answered += 1;
            }
        }
        answered
    }

    /// The lender goes, and has left if it is not back by `until`.
    pub(crate) fn away(&self, until: Instant) {
        self.awaited.send_replace(Some(until));
    }

    /// The lender is back.
    pub(crate) fn back(&self) {
        self.awaited.send_replace(None);
    }

    /// Until when the lender has to be back. `None`: it is here.
    pub(crate) fn awaited(&self) -> Option<Instant> {
        *self.awaited.borrow()
    }

    /// Whether the lender has left, as of `now`.
    pub(crate) fn has_left(&self, now: Instant) -> bool {
        self.awaited().is_some_and(|until| now >= until)
    }

    /// Resolves once the lender has left.
    async fn left(mut awaited: watch::Receiver<Option<Instant>>) {
        loop {
            let until = *awaited.borrow_and_update();
            tokio::select! {
                changed = awaited.changed() => if changed.is_err() { return },
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => return,
            }
        }
    }

    async fn post(&self, params: CreateMessageRequestParams, signs: Signs) -> Answered {
        let (letter, answer) = Letter::new(params, signs, Instant::now());
        if self.has_left(Instant::now()) {
            return Err(SamplingError::NoPeer);
        }
        let number = self.letters().put(letter).ok_or(SamplingError::Busy)?;
        let _posted = Posted { mailbox: self, number };
        self.arrived.notify_one();
        let lost = || SamplingError::Transport("it left before it answered".to_owned());
        tokio::select! {
            biased;
            answer = answer => answer.unwrap_or_else(|_| Err(lost())),
            () = Self::left(self.awaited.subscribe()) => Err(lost()),
        }
    }

    fn letters(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call in a mailbox. Dropped, it is not in it any more.
struct Posted<'a> {
    mailbox: &'a Mailbox,
    number: u64,
}

impl Drop for Posted<'_> {
    fn drop(&mut self) {
        self.mailbox.letters().withdraw(self.number);
    }
}

/// What an answer says. An error, as it would be in a session, stands for a message that there is none of: the protocol
/// has no other way to say no to one of several.
fn read(answer: Value) -> Answered {
    if let (Some(code), Some(message)) = (answer["code"].as_i64(), answer["message"].as_str()) {
        return Err(SamplingError::said(code, message));
    }
    serde_json::from_value(answer)
        .map_err(|error| SamplingError::Malformed(format!("it is no message: {error}")))
}

fn key(number: u64) -> Key {
    // In an object sorted by its keys calls are in the order they came in.
    format!("call-{number:06}")
}

#[async_trait]
impl SamplingClient for Mailbox {
    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
    ) -> Result<CreateMessageResult, SamplingError> {
        self.post(params, Signs::default()).await
    }

    async fn call(&self, call: Call) -> Result<CreateMessageResult, SamplingError> {
        self.post(call.params, call.signs).await
    }

    fn offer(&self) -> Offer {
        Offer { available: !self.has_left(Instant::now()), tools: self.tools }
    }

    fn session(&self) -> Option<Arc<str>> {
        Some(Arc::clone(&self.session))
    }
}

#[cfg(test)]
mod tests;

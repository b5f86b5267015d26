//! What is asked and how lanes fare: all of it drawn from one seed.

use std::time::Duration;

use anyhow::{Context, Result};
use fastrand::Rng;
use serde_json::{Value, json};

/// The variable that chooses another plan.
const SEED_VARIABLE: &str = "INFERD_CHAOS_SEED";
/// Of ten requests in a row on one connection so many are given up by their caller.
const CANCELLED_IN_TEN: usize = 1;
/// The most tokens that are asked for in one piece: all of it has to come within the time for the first token.
const WHOLE_TOKENS_MAX: usize = 4;

/// The seed of this run.
pub(super) fn seed() -> Result<u64> {
    match std::env::var(SEED_VARIABLE) {
        Ok(seed) => seed.parse().with_context(|| format!("{SEED_VARIABLE} is a whole number, not {seed:?}")),
        Err(_) => Ok(20),
    }
}

/// One request and what its caller does about it.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) number: usize,
    /// How long the answer is.
    pub(super) tokens: usize,
    /// Before each of its tokens.
    pub(super) pause: Duration,
    pub(super) form: Form,
    /// Whether the caller asks for status frames, and so is told the lane.
    pub(super) watched: bool,
    /// Given up by a `cancel` after so many of its frames.
    pub(super) cancel_after: Option<usize>,
}

/// How an answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// In tokens.
    Streamed,
    /// In one piece, which the daemon puts together from a stream.
    Gathered,
    /// In one piece, and so short that the daemon asks the lane for one piece too.
    Whole,
}

impl Ask {
    pub(super) fn draw(number: usize, rng: &mut Rng) -> Self {
        let form = [Form::Streamed, Form::Streamed, Form::Gathered, Form::Whole][rng.usize(..4)];
        let tokens = rng.usize(1..=if form == Form::Whole { WHOLE_TOKENS_MAX } else { 12 });
        let pause = Duration::from_millis(rng.u64(5..=50));
        let cancelled = rng.usize(..10) < CANCELLED_IN_TEN;
        let cancel_after = cancelled.then(|| rng.usize(..=tokens));
        Self { number, tokens, pause, form, watched: rng.bool(), cancel_after }
    }

    pub(super) fn id(&self) -> String {
        format!("r{}", self.number)
    }

    /// The line that asks. What a lane has to know of it is in the message.
    pub(super) fn line(&self) -> Value {
        let content = format!("{} {} {}", self.number, self.tokens, self.pause.as_millis());
        let mut line = json!({"id": self.id(), "messages": [{"role": "user", "content": content}]});
        if self.form != Form::Streamed {
            line["stream"] = json!(false);
        }
        if self.form == Form::Whole {
            line["max_tokens"] = json!(100);
        }
        if self.watched {
            line["progress"] = json!(true);
        }
        line
    }

    /// The tokens that a lane answers with.
    pub(super) fn answer(&self, lane: &str) -> Vec<String> {
        tokens(lane, self.number, self.tokens)
    }
}

/// What a lane reads from the body of a request.
pub(super) struct Asked {
    pub(super) number: usize,
    pub(super) tokens: Vec<String>,
    pub(super) pause: Duration,
    pub(super) stream: bool,
}

impl Asked {
    pub(super) fn read(lane: &str, body: &Value) -> Option<Self> {
        let mut words = body["messages"][0]["content"].as_str()?.split(' ');
        let (number, count) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let pause = Duration::from_millis(words.next()?.parse().ok()?);
        Some(Self { number, tokens: tokens(lane, number, count), pause, stream: body["stream"] == true })
    }
}

/// No token is the same as another of any lane or request.
fn tokens(lane: &str, request: usize, count: usize) -> Vec<String> {
    (0..count).map(|token| format!("{lane}:{request}.{token} ")).collect()
}

/// How a lane fares for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It answers.
    Sound,
    /// It refuses, resets, or answers with what is no answer.
    Failing,
    /// It accepts and goes silent, at once or after some tokens, until the phase is over.
    Stalling,
    /// It ends its answers without their end.
    CuttingShort,
    /// It asks to be left alone.
    Limiting,
    /// It is not there.
    Down,
}

impl Phase {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        use Phase::{CuttingShort, Down, Failing, Limiting, Sound, Stalling};
        let faults = [Failing, Stalling, CuttingShort, Limiting, Down];
        faults.get(rng.usize(..=2 * faults.len()) / 2).copied().unwrap_or(Sound)
    }
}

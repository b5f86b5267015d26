//! A lane's server, which fares as its phase says and remembers what it did to whom.
//!
//! Invariant: what a phase has begun ends with it. A lane that is sound again owes no failure.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use fastrand::Rng;
use inferd_tests::{Answer, Ending, Gate, Upstream, Visit, http_date};
use serde_json::Value;

use super::plan::{Asked, Phase};

/// One of the daemon's upstreams.
pub(super) struct Lane {
    pub(super) name: &'static str,
    pub(super) upstream: Upstream,
    mood: Arc<Mutex<Mood>>,
}

struct Mood {
    phase: Phase,
    since: SystemTime,
    /// Opened when the phase is over: what it held back goes on.
    over: Gate,
    /// The requests that were answered with a fault.
    faults: HashSet<usize>,
}

impl Lane {
    pub(super) async fn start(name: &'static str, seed: u64) -> Result<Self> {
        let mood = Mood {
            phase: Phase::Sound,
            since: SystemTime::now(),
            over: Gate::shut(),
            faults: HashSet::new(),
        };
        let mood = Arc::new(Mutex::new(mood));
        let upstream = Upstream::start({
            let mood = Arc::clone(&mood);
            move |_, body| script(name, seed, &mut locked(&mood), body)
        })
        .await?;
        Ok(Self { name, upstream, mood })
    }

    pub(super) fn phase(&self) -> Phase {
        locked(&self.mood).phase
    }

    /// Ends its phase and begins another.
    pub(super) async fn turn(&mut self, phase: Phase) -> Result<()> {
        {
            let mut mood = locked(&self.mood);
            std::mem::replace(&mut mood.over, Gate::shut()).open();
            (mood.phase, mood.since) = (phase, SystemTime::now());
        }
        match phase {
            Phase::Down => self.upstream.go_down().await,
            _ => self.upstream.come_back().await?,
        }
        Ok(())
    }

    /// Whether a request that came in this phase has been answered as was meant, and none from before is open.
    pub(super) fn is_settled(&self) -> bool {
        let (seen, since) = (self.upstream.seen(), locked(&self.mood).since);
        let (old, new): (Vec<_>, Vec<_>) = seen.visits.iter().partition(|visit| visit.began < since);
        let answered = |visit: &&Visit| matches!(visit.ended, Some((_, Ending::Played)));
        old.iter().all(|visit| visit.ended.is_some()) && new.iter().any(answered)
    }

    /// The requests whose answers it had begun and did not bring to their end.
    pub(super) fn broken_off(&self) -> HashSet<usize> {
        let (seen, mood) = (self.upstream.seen(), locked(&self.mood));
        let requests = seen.requests.iter().zip(&seen.visits).filter_map(|(body, visit)| {
            let number = Asked::read(self.name, body)?.number;
            let down = matches!(visit.ended, Some((_, Ending::Down)));
            (visit.tokens > 0 && (down || mood.faults.contains(&number))).then_some(number)
        });
        requests.collect()
    }
}

fn locked(mood: &Mutex<Mood>) -> MutexGuard<'_, Mood> {
    mood.lock().unwrap_or_else(PoisonError::into_inner)
}

fn script(lane: &'static str, seed: u64, mood: &mut Mood, body: &Value) -> Answer {
    let Some(asked) = Asked::read(lane, body) else { return Answer::refusal(400, "not of this test") };
    if mood.phase != Phase::Sound {
        mood.faults.insert(asked.number);
    }
    // The same request has the same fate at a lane in every run, if it comes in the same phase.
    let rng = &mut Rng::with_seed(seed ^ (asked.number as u64) << 8 ^ u64::from(lane.as_bytes()[0]));
    let Asked { tokens, pause, stream, .. } = asked;
    match mood.phase {
        Phase::Sound | Phase::Down => Answer::Tokens(tokens, pause),
        Phase::Failing => failing(rng),
        Phase::Stalling => {
            let said = if stream && rng.bool() { rng.usize(1..=tokens.len()) } else { 0 };
            let (first, then) = tokens.split_at(said);
            Answer::Held(first.to_vec(), mood.over.clone(), then.to_vec())
        }
        Phase::CuttingShort if !stream && rng.bool() => Answer::http_cut(
            "200 OK\r\ncontent-type: application/json",
            r#"{"object":"chat.completion","choi"#,
        ),
        Phase::CuttingShort => {
            let said = tokens[..rng.usize(..=tokens.len())].to_vec();
            match rng.usize(..3) {
                0 => Answer::CutShort(said),
                1 => Answer::Unfinished(said),
                _ => Answer::Reset(said),
            }
        }
        Phase::Limiting => limiting(rng),
    }
}

fn failing(rng: &mut Rng) -> Answer {
    match rng.usize(..4) {
        0 => Answer::refusal(500, "out of order"),
        1 => Answer::Reset(Vec::new()),
        2 => Answer::http("200 OK\r\ncontent-type: text/html", "<h1>It works!</h1>"),
        _ => Answer::http("502 Bad Gateway\r\ncontent-type: text/html", "<h1>nobody there</h1>"),
    }
}

fn limiting(rng: &mut Rng) -> Answer {
    let soon = || http_date(SystemTime::now() + Duration::from_millis(1500));
    let head = match rng.usize(..3) {
        0 => "429 Too Many Requests\r\nretry-after: 1".to_owned(),
        1 => format!("429 Too Many Requests\r\nretry-after: {}", soon()),
        _ => "503 Service Unavailable\r\nretry-after: 1".to_owned(),
    };
    Answer::http(&head, r#"{"error":{"message":"slow down"}}"#)
}

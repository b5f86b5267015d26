//! Turns about: each round gives every contestant one turn with the same load.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::contestants::{Contestant, Job, Running};
use crate::load::{Load, Wire, request_without_answer};
use crate::upstream::Upstream;
use crate::work::{Counts, Engine, Work};

/// What is the same for all works.
pub struct Course {
    pub ours: PathBuf,
    /// LiteLLM's program; it is left out where there is none.
    pub litellm: Option<PathBuf>,
    pub rounds: usize,
    pub turn: Duration,
}

/// What came of one contestant's turn.
pub struct Turn {
    pub answers: f64,
    /// Requests or tokens a second.
    pub rate: f64,
    /// Processor time of the contestant for each of them; not a number where it is no process of its own.
    pub cpu_micros: f64,
    /// Not a number where requests are pipelined, as the other percentile.
    pub p50_micros: f64,
    pub p99_micros: f64,
}

/// One number of a turn.
pub type Figure = fn(&Turn) -> f64;

/// The turns of one work, round by round.
pub struct Finish(Vec<(Contestant, Vec<Turn>)>);

impl Finish {
    /// The median over the rounds; not a number for one that had no turn.
    pub fn median(&self, who: Contestant, figure: Figure) -> f64 {
        median(self.turns(who).iter().map(figure))
    }

    /// By how much it exceeds that of the load straight at the server, in the same round; the median of that.
    pub fn over_straight(&self, who: Contestant, figure: Figure) -> f64 {
        let straight = self.turns(Contestant::Straight).iter().map(figure);
        median(self.turns(who).iter().map(figure).zip(straight).map(|(its, straight)| its - straight))
    }

    fn turns(&self, who: Contestant) -> &[Turn] {
        self.0.iter().find(|(contestant, _)| *contestant == who).map_or(&[], |(_, turns)| turns)
    }
}

/// Runs one work to its end.
pub fn run(course: &Course, work: &Work) -> Result<Finish> {
    let upstream = match work.engine {
        Engine::Relay { events_per_chunk } => Some(Upstream::start(work.tokens, events_per_chunk)?),
        Engine::Mock { .. } | Engine::Taken => None,
    };
    let job = Job { engine: work.engine, tokens: work.tokens, upstream: upstream.as_ref() };
    let mut field = Vec::new();
    for &contestant in work.contestants {
        if contestant != Contestant::LiteLlm || course.litellm.is_some() {
            let running = contestant.start(course, &job).with_context(|| format!("{contestant:?}"))?;
            field.push((contestant, running));
        }
    }
    let _takers = match work.engine {
        Engine::Taken => field
            .iter()
            .map(|(_, running)| request_without_answer(&running.address))
            .collect::<Result<_>>()?,
        Engine::Mock { .. } | Engine::Relay { .. } => Vec::new(),
    };

    let mut finish = Finish(field.iter().map(|(contestant, _)| (*contestant, Vec::new())).collect());
    for _ in 0..course.rounds {
        for ((contestant, running), (_, turns)) in field.iter().zip(&mut finish.0) {
            let turn = turn(course, work, *contestant, running);
            turns.push(turn.with_context(|| format!("{contestant:?} at {}", work.name))?);
        }
    }
    Ok(finish)
}

fn turn(course: &Course, work: &Work, contestant: Contestant, running: &Running) -> Result<Turn> {
    let wire = contestant.wire(work.engine);
    let (end, piece, pieces) = match (work.engine, wire) {
        (Engine::Taken, _) => ("\"queue_full\"", "\n", 1),
        (_, Wire::Http) => ("\n0\r\n\r\n", "\"content\":\"", work.tokens),
        (_, Wire::V1 | Wire::V2) => ("\"stop_reason\"", "\n", work.tokens + 1),
    };
    let (address, connections, pipelined) = (&running.address, work.connections, work.pipelined);
    let load = Load { address, wire, connections, pipelined, end, piece, pieces };
    let mut measured = load.run(course.turn * contestant.slowness(), || running.cpu())?;

    measured.latencies.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let count = match work.counts {
        Counts::Requests => measured.answers,
        Counts::Tokens => measured.answers * work.tokens as f64,
    };
    let latency = |percent: usize| {
        let at = measured.latencies.len() * percent / 100;
        measured.latencies.get(at).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
    };
    Ok(Turn {
        answers: measured.answers,
        rate: count / measured.elapsed.as_secs_f64(),
        cpu_micros: measured.cpu.map_or(f64::NAN, |cpu| cpu.as_secs_f64() * 1e6 / count),
        p50_micros: latency(50),
        p99_micros: latency(99),
    })
}

/// The middle value; of an even number the greater of the two in the middle; of none not a number.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

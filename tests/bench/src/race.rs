//! Turns about: each round gives every contender one turn with the same load.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::daemons::{Address, Daemon, Side, Upstream};
use crate::load::{Load, Wire, request_without_answer};
use crate::work::{Counts, Engine, Work};

/// What is the same for all works.
pub struct Course {
    pub ours: PathBuf,
    pub rounds: usize,
    pub turn: Duration,
}

/// The results of one work.
pub struct Finish {
    pub published: Medians,
    pub ours: Medians,
    /// The load straight at the server that the daemons relay.
    pub direct: Option<Medians>,
}

/// One contender's medians over its turns.
pub struct Medians {
    /// Requests or tokens a second.
    pub rate: f64,
    /// Processor time of the daemon for each of them.
    pub cpu_micros: f64,
    pub p50_micros: f64,
    pub p99_micros: f64,
}

/// Runs one work to its end.
pub fn run(course: &Course, work: &Work) -> Result<Finish> {
    let upstream = match work.engine {
        Engine::Relay { events_per_chunk } => Some(Upstream::start(work.tokens, events_per_chunk)?),
        Engine::Mock { .. } | Engine::Taken => None,
    };
    let start = |side| Daemon::start(side, course, work.engine, work.tokens, upstream.as_ref());
    let (published, ours) = (start(Side::Published)?, start(Side::Ours)?);
    let _takers = match work.engine {
        Engine::Taken => {
            vec![request_without_answer(&published.address)?, request_without_answer(&ours.address)?]
        }
        Engine::Mock { .. } | Engine::Relay { .. } => Vec::new(),
    };
    let upstream_address = upstream.as_ref().map(|upstream| Address::Tcp(upstream.address));

    let mut turns: [Vec<Medians>; 3] = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..course.rounds {
        let wire = if upstream.is_some() { Wire::V2 } else { Wire::V1 };
        turns[0].push(
            turn(course, work, &published.address, wire, || published.cpu())
                .context("the published daemon")?,
        );
        turns[1].push(turn(course, work, &ours.address, Wire::V1, || ours.cpu()).context("our daemon")?);
        if let Some(address) = &upstream_address {
            turns[2].push(
                turn(course, work, address, Wire::Http, || Ok(Duration::ZERO)).context("the upstream")?,
            );
        }
    }
    let [published, ours, direct] = turns.map(|turns| medians(&turns));
    Ok(Finish { published: published.context("no rounds")?, ours: ours.context("no rounds")?, direct })
}

fn turn(
    course: &Course,
    work: &Work,
    address: &Address,
    wire: Wire,
    cpu: impl Fn() -> Result<Duration>,
) -> Result<Medians> {
    let (end, lines) = match (work.engine, wire) {
        (Engine::Taken, _) => ("\"queue_full\"", Some(1)),
        (_, Wire::Http) => ("data: [DONE]", None),
        (_, Wire::V1 | Wire::V2) => ("\"stop_reason\"", Some(work.tokens + 1)),
    };
    let load = Load { address, wire, connections: work.connections, pipelined: work.pipelined, end, lines };
    let mut measured = load.run(course.turn, cpu)?;
    measured.latencies.sort_unstable();
    let each = match work.counts {
        Counts::Requests => 1,
        Counts::Tokens => work.tokens,
    };
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 in a turn")]
    let count = (measured.answers * each) as f64;
    let latency = |percent: usize| {
        let at = measured.latencies.len() * percent / 100;
        measured.latencies.get(at).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
    };
    Ok(Medians {
        rate: count / measured.elapsed.as_secs_f64(),
        cpu_micros: measured.cpu.as_secs_f64() * 1e6 / count,
        p50_micros: latency(50),
        p99_micros: latency(99),
    })
}

fn medians(turns: &[Medians]) -> Option<Medians> {
    Some(Medians {
        rate: median(turns.iter().map(|turn| turn.rate))?,
        cpu_micros: median(turns.iter().map(|turn| turn.cpu_micros))?,
        p50_micros: median(turns.iter().map(|turn| turn.p50_micros))?,
        p99_micros: median(turns.iter().map(|turn| turn.p99_micros))?,
    })
}

/// The middle value; of an even number the greater of the two in the middle.
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

//! What a connection costs that has done one request and is silent since.

use anyhow::{Context, Result};

use crate::contestants::{Contestant, Job};
use crate::load::{Load, Wire};
use crate::race::{Course, median};
use crate::work::Engine;

/// The work's name on the command line.
pub const NAME: &str = "idle";

const CONNECTIONS: usize = 2000;
/// Connections that come first, so that what a daemon allocates once is not charged to the others.
const FIRST: usize = 16;

/// Bytes of resident memory a connection, the median over the rounds.
pub struct Bytes {
    pub published: f64,
    pub ours: f64,
}

/// Measures fresh processes in turn.
pub fn run(course: &Course) -> Result<Bytes> {
    let (mut published, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..course.rounds {
        published.push(growth(course, Contestant::Published).context("the published daemon")?);
        ours.push(growth(course, Contestant::Ours).context("our daemon")?);
    }
    Ok(Bytes { published: median(published.into_iter()), ours: median(ours.into_iter()) })
}

#[expect(clippy::cast_precision_loss, reason = "far less than 2^52 bytes")]
fn growth(course: &Course, contestant: Contestant) -> Result<f64> {
    let job = Job { engine: Engine::Mock { token_delay_ms: 0 }, tokens: 1, upstream: None };
    let daemon = contestant.start(course, &job)?;
    let load = |connections| Load {
        address: &daemon.address,
        wire: Wire::V1,
        connections,
        pipelined: 1,
        end: "\"stop_reason\"",
        piece: "\n",
        pieces: 2,
    };
    let first = load(FIRST);
    let _first = first.once()?;
    let before = daemon.resident()?;
    let idle = load(CONNECTIONS);
    let _idle = idle.once()?;
    Ok((daemon.resident()? as f64 - before as f64) / CONNECTIONS as f64)
}

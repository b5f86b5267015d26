//! Whether a lane that was marked shut was left alone but for its probes, from what the daemon's log says it did and
//! what the lane's server saw.
//!
//! Invariant: nothing is held against the daemon that it may have been right to do. Log lines are written a little after
//! what they tell, so a request counts only where it was asked for after the line that marks the lane shut, and reached
//! the server before the probe's end, after which the lane may have been let go.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use inferd_tests::log_time;

/// A line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// The lane failed, or asked for rest.
    Shut,
    /// Its probe was given up by its caller: the next request is the probe.
    ShutUnproved,
    /// Its probe was answered.
    Passing,
}

/// A request that reached the lane.
#[derive(Debug)]
pub(super) struct Received {
    /// The same request may come twice: over a connection that was idle and breaks off, and then over a new one.
    pub(super) number: usize,
    /// When its caller sent it.
    pub(super) asked: SystemTime,
    pub(super) began: SystemTime,
    pub(super) ended: Option<SystemTime>,
}

/// How often a lane was shut and how often it came back.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tally {
    pub(super) shut: usize,
    pub(super) back: usize,
}

/// Every time that more than the probe reached `lane` while it was shut, and how often it was. `cooldown` is the least
/// time a lane stays shut for.
pub(super) fn intruders(
    lane: &str,
    log: &str,
    received: &[Received],
    cooldown: Duration,
) -> Result<(Vec<String>, Tally)> {
    let mut wrong = Vec::new();
    let mut tally = Tally::default();
    let marks = marks(lane, log)?;
    for (at, &(from, mark)) in marks.iter().enumerate() {
        if mark == Mark::Passing {
            tally.back += 1;
            continue;
        }
        tally.shut += 1;
        let (to, next) = marks.get(at + 1).copied().unwrap_or((SystemTime::now(), Mark::Shut));
        // Where the probe before was given up, this one may have begun before the line was written.
        let probes_from =
            if mark == Mark::ShutUnproved { at.checked_sub(1).map_or(from, |at| marks[at].0) } else { from };
        let first_end = received
            .iter()
            .filter(|one| probes_from < one.began && one.began < to)
            .filter_map(|one| one.ended)
            .min();
        let (until, probes) = match (next, first_end) {
            (Mark::Passing, Some(ended)) => (to.min(ended), 1),
            (Mark::Shut, Some(ended)) => (to.min(ended + cooldown), 1),
            (Mark::ShutUnproved, _) => (to, 2),
            (_, None) => (to, 1),
        };
        let inside = |one: &&Received| from < one.asked && from < one.began && one.began < until;
        let came: HashSet<_> = received.iter().filter(inside).map(|one| one.number).collect();
        if came.len() > probes {
            wrong.push(format!(
                "{came:?} reached {lane} within {:?} of its being shut",
                until.duration_since(from)
            ));
        }
    }
    Ok((wrong, tally))
}

fn marks(lane: &str, log: &str) -> Result<Vec<(SystemTime, Mark)>> {
    let of_lane = format!("lane=\"{lane}\"");
    let lines = log.lines().filter(|line| line.contains(&of_lane)).filter_map(|line| {
        let mark = if line.contains("lane passes again") {
            Mark::Passing
        } else if !line.contains("lane is shut") {
            return None;
        } else if line.contains("outcome=Abandoned") {
            Mark::ShutUnproved
        } else {
            Mark::Shut
        };
        Some(log_time(line).map(|time| (time, mark)))
    });
    lines.collect()
}

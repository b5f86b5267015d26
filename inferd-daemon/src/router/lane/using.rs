//! One use of a lane, from its beginning to its settling.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::Lane;
use crate::router::breaker::{BreakerState, Outcome, Pass};

/// One use of a lane. Dropped unsettled, it was abandoned.
#[derive(Debug)]
#[must_use]
pub(in crate::router) struct Use {
    lane: Arc<Lane>,
    pass: Pass,
    began: Instant,
    settled: bool,
}

/// Weight of a new sample in a lane's time to the first token: one in this many.
const LATENCY_WEIGHT: u64 = 8;

impl Use {
    /// A use of `lane` that the lane has counted and let pass.
    pub(super) fn new(lane: Arc<Lane>, pass: Pass, began: Instant) -> Self {
        Self { lane, pass, began, settled: false }
    }

    pub(in crate::router) fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    /// Notes that the first token came.
    pub(in crate::router) fn first_token(&self, now: Instant) {
        self.sample(self.micros(now));
    }

    /// Ends it because another lane was quicker: how long this one has said nothing is the least it would have taken.
    pub(in crate::router) fn outpaced(self, now: Instant) {
        let at_least = self.micros(now);
        if at_least > self.lane.record.first_token_us.load(Ordering::Relaxed) {
            self.sample(at_least);
        }
    }

    fn micros(&self, now: Instant) -> u64 {
        let took = now.saturating_duration_since(self.began).as_micros();
        u64::try_from(took).unwrap_or(u64::MAX / LATENCY_WEIGHT)
    }

    fn sample(&self, took_us: u64) {
        // Two at once may lose one sample; the mean does not mind.
        let mean = self.lane.record.first_token_us.load(Ordering::Relaxed);
        let next = if mean == 0 { took_us } else { mean - mean / LATENCY_WEIGHT + took_us / LATENCY_WEIGHT };
        self.lane.record.first_token_us.store(next, Ordering::Relaxed);
    }

    pub(in crate::router) fn settle(mut self, outcome: Outcome) {
        self.conclude(outcome);
    }

    fn conclude(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let outcome = if self.lane.config.peers { Outcome::Abandoned } else { outcome };
        let (now, jitter) = match outcome {
            Outcome::Failed | Outcome::Rest(_) => (Instant::now(), fastrand::f64()),
            // Nothing is timed by these: no need to look at the clock.
            Outcome::Served | Outcome::Abandoned => (self.began, 0.0),
        };
        let was_and_is = {
            let mut breaker = self.lane.breaker();
            let was = breaker.state();
            breaker.settle(self.pass, outcome, now, jitter);
            (was, breaker.state())
        };
        if was_and_is.0 != was_and_is.1 {
            self.lane.bell.retime();
        }
        match was_and_is {
            (was, is) if was == is => {}
            (_, BreakerState::Passing) => tracing::info!(lane = self.lane.name, "lane passes again"),
            (_, _) => tracing::warn!(lane = self.lane.name, ?outcome, "lane is shut"),
        }
        self.lane.leave();
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.conclude(Outcome::Abandoned);
    }
}

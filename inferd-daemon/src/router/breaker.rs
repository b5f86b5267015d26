//! A lane's breaker: a value, with time and chance as arguments.
//!
//! ```text
//! passing ──enough failures in a row within the window──▶ shut
//! shut ──cooldown over; the next request is the probe──▶ probing
//! probing ──probe succeeds──▶ passing
//! probing ──probe fails──▶ shut, for twice as long
//! probing ──probe abandoned──▶ shut, already over
//! any ──the lane asks for rest──▶ shut, for as long as it asks
//! ```
//!
//! Invariants:
//! - Probing if and only if exactly one request is the probe.
//! - What was admitted before the state last changed cannot change it again.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// When a breaker shuts, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Failures in a row that shut it, at least 1.
    pub failures: usize,
    /// Older failures than this are forgotten.
    pub window: Duration,
    /// How long it stays shut the first time; doubled by each failed probe.
    pub cooldown: Duration,
    /// The longest it stays shut; never less than `cooldown`.
    pub cooldown_max: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            failures: 3,
            window: Duration::from_secs(60),
            cooldown: Duration::from_secs(30),
            cooldown_max: Duration::from_secs(300),
        }
    }
}

/// The longest rest a lane is given, whatever it asks for or is configured to take.
const REST_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Requests pass.
    Passing,
    /// None passes.
    Shut,
    /// One passed to see whether others may.
    Probing,
}

/// Leave to use the lane once; to be settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Pass {
    epoch: u64,
    probe: bool,
}

impl Pass {
    /// Whether this request is the probe.
    #[must_use]
    pub fn is_probe(self) -> bool {
        self.probe
    }
}

/// How a use ended, as far as the lane is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The lane answered, be it that the caller was wrong.
    Served,
    /// The lane failed.
    Failed,
    /// The lane asked to be left alone: for this long, or for the cooldown.
    Rest(Option<Duration>),
    /// The caller left; nothing was learnt.
    Abandoned,
}

#[derive(Debug, Clone, PartialEq)]
enum State {
    /// Times of the failures since the last success, oldest first.
    Passing {
        failures: VecDeque<Instant>,
    },
    Shut {
        until: Instant,
    },
    Probing,
}

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub struct Breaker {
    config: BreakerConfig,
    state: State,
    /// Probes that failed in a row: each doubles the cooldown.
    failed_probes: u32,
    /// Counts changes of state, to know stragglers by.
    epoch: u64,
}

impl Breaker {
    /// A passing breaker.
    #[must_use]
    pub fn new(config: BreakerConfig) -> Self {
        Self { config, state: State::Passing { failures: VecDeque::new() }, failed_probes: 0, epoch: 0 }
    }

    /// Goes by `config` from here on. Where it stands, what it has counted and a cooldown under way stay.
    pub fn reconfigure(&mut self, config: BreakerConfig) {
        self.config = config;
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Passing { .. } => BreakerState::Passing,
            State::Shut { .. } => BreakerState::Shut,
            State::Probing => BreakerState::Probing,
        }
    }

    /// Whether [`Breaker::admit`] would let a request pass.
    #[must_use]
    pub fn would_admit(&self, now: Instant) -> bool {
        match self.state {
            State::Passing { .. } => true,
            State::Shut { until } => now >= until,
            State::Probing => false,
        }
    }

    /// How long until a request may pass. `None`: one may pass now, or nobody knows (a probe is under way).
    #[must_use]
    pub fn rests_for(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Shut { until } => until.checked_duration_since(now).filter(|rest| !rest.is_zero()),
            State::Passing { .. } | State::Probing => None,
        }
    }

    /// Lets a request pass, or not.
    pub fn admit(&mut self, now: Instant) -> Option<Pass> {
        match self.state {
            State::Passing { .. } => Some(Pass { epoch: self.epoch, probe: false }),
            State::Shut { until } if now >= until => {
                self.enter(State::Probing);
                Some(Pass { epoch: self.epoch, probe: true })
            }
            State::Shut { .. } | State::Probing => None,
        }
    }

    /// Learns how a use ended. `jitter`, 0 to 1, spreads the cooldown by up to a fifth, so that lanes that fell
    /// together are not probed together.
    pub fn settle(&mut self, pass: Pass, outcome: Outcome, now: Instant, jitter: f64) {
        if pass.epoch != self.epoch {
            return;
        }
        match (&mut self.state, outcome) {
            (State::Passing { failures }, Outcome::Served) => failures.clear(),
            (State::Passing { failures }, Outcome::Failed) => {
                failures.push_back(now);
                let window = self.config.window;
                failures.retain(|&failed| now.saturating_duration_since(failed) < window);
                if failures.len() >= self.config.failures {
                    self.shut(now, jitter);
                }
            }
            (State::Probing, Outcome::Served) => {
                self.failed_probes = 0;
                self.enter(State::Passing { failures: VecDeque::new() });
            }
            (State::Probing, Outcome::Failed) => {
                self.failed_probes = self.failed_probes.saturating_add(1);
                self.shut(now, jitter);
            }
            (State::Probing, Outcome::Abandoned) => self.enter(State::Shut { until: now }),
            (State::Passing { .. } | State::Probing, Outcome::Rest(Some(asked))) => {
                self.enter(State::Shut { until: now + asked.min(REST_MAX) });
            }
            (State::Passing { .. } | State::Probing, Outcome::Rest(None)) => {
                self.shut(now, jitter);
            }
            (State::Passing { .. }, Outcome::Abandoned) => {}
            (State::Shut { .. }, _) => unreachable!("no pass of the epoch in which a breaker is shut exists"),
        }
    }

    fn shut(&mut self, now: Instant, jitter: f64) {
        let BreakerConfig { cooldown, cooldown_max, .. } = self.config;
        let doubled = cooldown.saturating_mul(2u32.saturating_pow(self.failed_probes));
        let cooldown = doubled.min(cooldown_max.max(cooldown)).min(REST_MAX);
        self.enter(State::Shut { until: now + cooldown.mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 5.0) });
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.epoch += 1;
    }
}

#[cfg(test)]
mod tests;

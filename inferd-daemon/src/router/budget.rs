//! How many attempts may be repeated, so that retries never become the load that keeps a failing lane down.
//!
//! A fifth of the requests, and at least three a second, saved up for ten seconds: the retry budget of
//! Finagle and linkerd2.

use std::time::Duration;

use tokio::time::Instant;

/// Share of requests that may be repeated.
const SHARE: f64 = 0.2;
/// Retries a second that are always allowed.
const PER_SECOND_MIN: f64 = 3.0;
/// How long unused retries are saved.
const WINDOW: Duration = Duration::from_secs(10);
/// Most retries saved from requests: what 100 requests a second save in the window.
const SAVED_MAX: f64 = 200.0;

/// The budget: a value, with time as an argument.
#[derive(Debug, Default)]
pub(super) struct RetryBudget {
    /// Retries earned by requests and not used.
    saved: f64,
    /// Retries of the fixed allowance used, draining away at its rate.
    used: f64,
    drained: Option<Instant>,
}

impl RetryBudget {
    /// Counts a request.
    pub(super) fn deposit(&mut self) {
        self.saved = (self.saved + SHARE).min(SAVED_MAX);
    }

    /// Takes one retry, if there is one.
    pub(super) fn withdraw(&mut self, now: Instant) -> bool {
        if let Some(drained) = self.drained.replace(now) {
            let refilled = now.saturating_duration_since(drained).as_secs_f64() * PER_SECOND_MIN;
            self.used = (self.used - refilled).max(0.0);
        }
        if self.used + 1.0 <= PER_SECOND_MIN * WINDOW.as_secs_f64() {
            self.used += 1.0;
            true
        } else if self.saved >= 1.0 {
            self.saved -= 1.0;
            true
        } else {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_then_three_a_second() {
        let start = Instant::now();
        let mut budget = RetryBudget::default();
        assert_eq!((0..100).filter(|_| budget.withdraw(start)).count(), 30);
        let later = start + Duration::from_secs(2);
        assert_eq!((0..100).filter(|_| budget.withdraw(later)).count(), 6);
    }

    #[test]
    fn a_fifth_of_the_requests_may_be_repeated_beyond_that() {
        let start = Instant::now();
        let mut budget = RetryBudget::default();
        while budget.withdraw(start) {}
        (0..101).for_each(|_| budget.deposit());
        assert_eq!((0..100).filter(|_| budget.withdraw(start)).count(), 20);
    }
}

//! The time of day of instants, without asking the system each time.
//!
//! Invariant: the answer is as the clock on the wall was at most [`EVERY`] before: a clock that is set, or a machine that
//! slept, is noticed by then.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::entry::millis_since_1970;

/// How long the last look at the wall is good for.
const EVERY: Duration = Duration::from_secs(1);

/// Knows how far the clock on the wall is from the one that instants are of.
#[derive(Debug)]
pub(super) struct Wall {
    began: Instant,
    /// When it looked last, in milliseconds since it began.
    looked_ms: AtomicI64,
    /// What the wall was ahead by then, in milliseconds.
    ahead_ms: AtomicI64,
}

impl Wall {
    pub(super) fn new(now: Instant) -> Self {
        let never = i64::MIN / 2;
        Self { began: now, looked_ms: AtomicI64::new(never), ahead_ms: AtomicI64::new(0) }
    }

    /// When `at` was, in milliseconds since 1970; `wall` is asked where the last look is too long ago.
    pub(super) fn at_ms(&self, at: Instant, wall: impl FnOnce() -> SystemTime) -> i64 {
        let since = at.saturating_duration_since(self.began);
        let since_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX / 2);
        let good_for_ms = i64::try_from(EVERY.as_millis()).unwrap_or(i64::MAX);
        // Two that look at once come to the same but for a millisecond.
        if since_ms - self.looked_ms.load(Ordering::Relaxed) >= good_for_ms {
            self.ahead_ms.store(millis_since_1970(wall()) - since_ms, Ordering::Relaxed);
            self.looked_ms.store(since_ms, Ordering::Relaxed);
        }
        since_ms + self.ahead_ms.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn the_wall_is_looked_at_once_a_second_and_a_clock_that_was_set_is_noticed() {
        let began = Instant::now();
        let wall = Wall::new(began);
        let at = |after_ms: u64, wall_ms: u64| {
            let mut looked = false;
            let at_ms = wall.at_ms(began + Duration::from_millis(after_ms), || {
                looked = true;
                UNIX_EPOCH + Duration::from_millis(wall_ms)
            });
            (at_ms, looked)
        };
        assert_eq!(at(0, 50_000), (50_000, true));
        assert_eq!(at(999, 0), (50_999, false));
        assert_eq!(at(1000, 51_000), (51_000, true));
        assert_eq!(at(1500, 0), (51_500, false));
        // Somebody sets it back, or it slept.
        assert_eq!(at(2000, 7000), (7000, true));
        assert_eq!(at(2999, 0), (7999, false));
        // Who came before the last look is put where it was.
        assert_eq!(at(1900, 0), (6900, false));
    }
}

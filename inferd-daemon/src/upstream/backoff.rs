//! How long to wait before connecting again: chance enters, a span leaves. A value; it reads no clock.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// The waits of one server, from one success to the next.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next: FIRST }
    }

    /// The next wait, given `chance` from 0 to 1: twice as long each time and up to half as long again, 1 to 60 seconds.
    pub(super) fn wait(&mut self, chance: f64) -> Duration {
        let wait = self.next.mul_f64(1.0 + chance.clamp(0.0, 1.0) / 2.0).min(LONGEST);
        self.next = (self.next * 2).min(LONGEST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_one_second_to_a_minute_and_stay_there() {
        let mut backoff = Backoff::new();
        let waits: Vec<u64> = (0..9).map(|_| backoff.wait(0.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn chance_makes_a_wait_longer_by_half_at_most_and_never_longer_than_a_minute() {
        let waits = |chance: f64| {
            let mut backoff = Backoff::new();
            (0..8).map(|_| backoff.wait(chance).as_millis()).collect::<Vec<_>>()
        };
        assert_eq!(waits(1.0), [1500, 3000, 6000, 12000, 24000, 48000, 60000, 60000]);
        assert_eq!(waits(7.0), waits(1.0));
        assert_eq!(waits(f64::NEG_INFINITY)[0], 1000);
    }
}

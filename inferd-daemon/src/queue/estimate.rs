//! How long a slot is held, as far as the recent past tells.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Exponentially weighted mean of recent service times. Zero until the first.
#[derive(Debug, Default)]
pub(super) struct ServiceTime {
    mean_us: AtomicU64,
}

/// Weight of a new sample: one in this many.
const WEIGHT: u64 = 8;

impl ServiceTime {
    pub(super) fn record(&self, took: Duration) {
        let sample = u64::try_from(took.as_micros()).unwrap_or(u64::MAX / WEIGHT).min(u64::MAX / WEIGHT);
        // Two at once may lose one sample; the mean does not mind.
        let mean = self.mean_us.load(Ordering::Relaxed);
        let next = if mean == 0 { sample } else { mean - mean / WEIGHT + sample / WEIGHT };
        self.mean_us.store(next, Ordering::Relaxed);
    }

    /// How long until `turns` slots have come free when `active` are held.
    pub(super) fn wait(&self, turns: usize, active: usize) -> Duration {
        let mean = self.mean_us.load(Ordering::Relaxed);
        Duration::from_micros(mean.saturating_mul(turns as u64) / active as u64)
    }
}

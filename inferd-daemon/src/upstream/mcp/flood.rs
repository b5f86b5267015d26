//! How much of what a program says is worth a line of the log. A value with time as an argument.

use std::time::Duration;

use tokio::time::Instant;

/// Lines of one span that are let through.
const LINES_MAX: u32 = 50;
const SPAN: Duration = Duration::from_secs(1);

/// Lets through so many lines a second, and counts the others.
pub(super) struct Flood {
    since: Instant,
    through: u32,
    left_out: u64,
}

/// What is to be done with a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is let through, after so many that were not.
    Through {
        left_out: u64,
    },
    LeftOut,
}

impl Flood {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, through: 0, left_out: 0 }
    }

    pub(super) fn line(&mut self, now: Instant) -> Verdict {
        if now.saturating_duration_since(self.since) >= SPAN {
            self.since = now;
            self.through = 0;
        }
        if self.through == LINES_MAX {
            self.left_out += 1;
            return Verdict::LeftOut;
        }
        self.through += 1;
        Verdict::Through { left_out: std::mem::take(&mut self.left_out) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_cut_to_fifty_lines_a_second_and_counted() {
        let start = Instant::now();
        let mut flood = Flood::new(start);
        let through = (0..10_000).filter(|_| flood.line(start) != Verdict::LeftOut).count();
        assert_eq!(through, 50);
        assert_eq!(flood.line(start + SPAN / 2), Verdict::LeftOut);
        assert_eq!(flood.line(start + SPAN), Verdict::Through { left_out: 9_951 });
        assert_eq!(flood.line(start + SPAN), Verdict::Through { left_out: 0 });
    }
}

//! Says that state is being lost, once a minute at most.

use std::time::Duration;

use tokio::time::Instant;

/// Between two complaints.
pub(super) const COMPLAINT_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Complaint {
    last: Option<Instant>,
    lost: u64,
}

impl Complaint {
    /// Counts `lost` rows. The number lost since the last complaint, if it is time for one.
    pub(super) fn count(&mut self, lost: u64, now: Instant) -> Option<u64> {
        self.lost += lost;
        if self.last.is_some_and(|last| now < last + COMPLAINT_EVERY) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.lost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_complains_once_a_minute_and_forgets_no_row() {
        let (mut complaint, now) = (Complaint::default(), Instant::now());
        assert_eq!(complaint.count(3, now), Some(3));
        assert_eq!(complaint.count(4, now + COMPLAINT_EVERY / 2), None);
        assert_eq!(complaint.count(5, now + COMPLAINT_EVERY), Some(9));
        assert_eq!(complaint.count(0, now + COMPLAINT_EVERY), None);
    }
}

//! How far a call has come.
//!
//! Invariant: a report is a snapshot. The latest one is kept and nothing queues, however often a tool reports.

use tokio::sync::watch;

/// What a tool says of a call under way.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// How far it has come, in units of its own.
    pub progress: f64,
    /// How far it has to go, if it knows.
    pub total: Option<f64>,
    /// In words.
    pub message: Option<String>,
}

/// Where a tool reports. Each report also keeps the call's time-out from passing.
#[derive(Debug, Clone, Default)]
pub struct Progress(Option<watch::Sender<Report>>);

impl Progress {
    /// For calls that nobody watches.
    #[must_use]
    pub fn unwatched() -> Self {
        Self::default()
    }

    /// A place to report, and what watches it.
    #[must_use]
    pub fn watched() -> (Self, Watched) {
        let (reports, watched) = watch::channel(Report::default());
        (Self(Some(reports)), Watched(watched))
    }

    /// Says how far the call has come.
    pub fn report(&self, report: Report) {
        if let Some(reports) = &self.0 {
            reports.send_replace(report);
        }
    }
}

/// The other end of a [`Progress`].
#[derive(Debug)]
pub struct Watched(watch::Receiver<Report>);

impl Watched {
    /// The latest report that was not taken yet; never comes back once nobody can report any more. Dropping the
    /// future loses nothing.
    pub async fn next(&mut self) -> Report {
        match self.0.changed().await {
            Ok(()) => self.0.borrow_and_update().clone(),
            Err(_) => std::future::pending().await,
        }
    }
}

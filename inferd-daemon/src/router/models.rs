//! Keeping what is known of the models that lanes serve as new as it has to be.
//!
//! Invariants:
//! - No lane is asked because of a request more often than once in [`LIST_AGE_MIN`].
//! - No request waits for a list longer than [`LIST_PATIENCE`].

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep_until, timeout};

use super::Router;

/// How often every list is asked for.
const REFRESH_EVERY: Duration = Duration::from_secs(5 * 60);

/// How often a lane that has never given its list is asked for it: it may have been down when the daemon started.
const LEARN_EVERY: Duration = Duration::from_secs(30);

/// A list that is not older than this is taken at its word.
const LIST_AGE_MIN: Duration = Duration::from_secs(10);

/// How long a request that names an unknown model waits for lists.
const LIST_PATIENCE: Duration = Duration::from_secs(2);

impl Router {
    /// Asks each lane that was configured without models, and has not said yet what it serves, for its list.
    pub async fn learn_models(&self) {
        self.ask_for_lists(Duration::MAX).await;
    }

    /// Asks each lane that was configured without models for its list. A lane that does not give it keeps the one it
    /// had.
    pub async fn refresh_models(&self) {
        self.ask_for_lists(Duration::ZERO).await;
    }

    /// Asks for lists every five minutes, every half minute where there is none yet, for that of a lane as soon as it has
    /// said that it does not serve a model it was asked for, and for that of a new one. Never ends.
    pub async fn keep_models_fresh(&self) {
        let mut due = Instant::now() + REFRESH_EVERY;
        let mut learn_due = Instant::now() + LEARN_EVERY;
        loop {
            tokio::select! {
                biased;
                () = sleep_until(due) => {
                    self.refresh_models().await;
                    due = Instant::now() + REFRESH_EVERY;
                }
                () = sleep_until(learn_due) => {
                    let lanes = self.lanes.now();
                    let unknown = lanes.iter().filter(|lane| lane.has_no_list());
                    join_all(unknown.map(|lane| lane.refresh_models(LIST_AGE_MIN))).await;
                    learn_due = Instant::now() + LEARN_EVERY;
                }
                () = self.lists_wanted.notified() => {
                    let lanes = self.lanes.now();
                    let wanted = lanes.iter().filter(|lane| lane.list_is_wanted());
                    join_all(wanted.map(|lane| lane.refresh_models(LIST_AGE_MIN))).await;
                }
            }
        }
    }

    /// Asks for the lists that may have grown out of date, if any may: whether it is worth looking again.
    pub(super) async fn look_for_news(&self) -> bool {
        if !self.lanes.now().iter().any(|lane| lane.list_is_older_than(LIST_AGE_MIN)) {
            return false;
        }
        if timeout(LIST_PATIENCE, self.ask_for_lists(LIST_AGE_MIN)).await.is_err() {
            tracing::debug!("some lanes take long to list their models");
        }
        true
    }

    async fn ask_for_lists(&self, age: Duration) {
        let lanes = self.lanes.now();
        join_all(lanes.iter().map(|lane| lane.refresh_models(age))).await;
    }
}

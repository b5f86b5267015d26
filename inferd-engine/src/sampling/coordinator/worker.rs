//! The worker of one peer: submissions come in, requests go out beside it.
//!
//! Invariants:
//! - At most `in_flight_max` requests are under way, and the loop never waits for one of them alone.
//! - Nothing is asked for a caller that has left.
//! - Once no more comes, it sends what was gathered and ends with the last answer.
//! - If it panics it is begun anew; the calls it held are answered by an error.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::batch::weight;
use super::flush::flush;
use super::gather::{Batch, Gather};
use super::key::BatchKey;
use super::submission::Submission;
use crate::sampling::call::Call;
use crate::sampling::client::SamplingClient;
use crate::sampling::config::CoordinatorConfig;
use crate::sampling::error::SamplingError;
use crate::sampling::patience::until;

/// What a worker is made of; all that outlives a panic.
pub(super) struct Workshop {
    pub(super) client: Arc<dyn SamplingClient>,
    pub(super) config: CoordinatorConfig,
    /// [`BatchKey::of`]; tests have their own.
    pub(super) key: fn(&Call, bool) -> Option<BatchKey>,
    pub(super) submissions: mpsc::Receiver<Submission>,
    /// Cancelled when nothing more is to be taken.
    pub(super) closing: CancellationToken,
}

/// Works until the channel is closed and all is answered.
pub(super) async fn run(mut shop: Workshop) {
    while AssertUnwindSafe(Worker::new(&mut shop).work()).catch_unwind().await.is_err() {
        tracing::error!("the sampling worker panicked and is begun anew");
    }
}

struct Worker<'a> {
    shop: &'a mut Workshop,
    gather: Gather<Submission>,
    /// Each gives back what is to be sent once more.
    flushes: JoinSet<Vec<Submission>>,
    /// What each of them is.
    keys: HashMap<Id, Option<BatchKey>>,
    /// The channel is closed and empty.
    closed: bool,
}

/// Everything that can happen to a worker.
enum Event {
    Submitted(Vec<Submission>),
    /// A request is over; these are to be sent once more.
    Answered(Id, Vec<Submission>),
    /// Nothing more is to be taken but what the channel holds.
    Closing,
    /// Nothing more comes.
    Closed,
    /// A batch is due, or has waited for too long.
    Due,
}

impl<'a> Worker<'a> {
    fn new(shop: &'a mut Workshop) -> Self {
        let gather = Gather::new(&shop.config, capacity(&shop.config));
        Self { shop, gather, flushes: JoinSet::new(), keys: HashMap::new(), closed: false }
    }

    async fn work(mut self) {
        loop {
            self.send_due(Instant::now());
            if self.closed && self.gather.is_empty() && self.flushes.is_empty() {
                return;
            }
            match self.next_event().await {
                Event::Submitted(submissions) => submissions.into_iter().for_each(|one| self.gather(one)),
                Event::Answered(id, again) => {
                    self.gather.answered(self.keys.remove(&id).flatten().as_ref());
                    for mut submission in again {
                        submission.since = Instant::now();
                        self.gather(submission);
                    }
                }
                Event::Closing => self.shop.submissions.close(),
                Event::Closed => self.closed = true,
                Event::Due => {}
            }
            if self.closed {
                self.gather.complete();
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        let shop = &mut *self.shop;
        let mut submissions = Vec::new();
        let room = self.gather.room();
        let is_full = self.flushes.len() >= shop.config.in_flight_max.max(1);
        let due = if is_full { self.gather.next_overdue() } else { self.gather.next_due() };
        tokio::select! {
            biased;
            Some(flushed) = self.flushes.join_next_with_id() => answered(flushed),
            count = shop.submissions.recv_many(&mut submissions, room), if room > 0 && !self.closed => match count {
                0 => Event::Closed,
                _ => Event::Submitted(submissions),
            },
            () = shop.closing.cancelled(), if !self.closed && !shop.submissions.is_closed() => Event::Closing,
            () = until(due) => Event::Due,
        }
    }

    fn gather(&mut self, submission: Submission) {
        let key = (self.shop.key)(&submission.call, self.shop.config.merge_callers);
        let weight = weight(&submission.call.params);
        let since = submission.since;
        self.gather.push(submission, key, weight, since);
    }

    /// Starts what is due while the peer may have more, and refuses what cannot be started in time.
    fn send_due(&mut self, now: Instant) {
        let in_flight_max = self.shop.config.in_flight_max.max(1);
        while self.flushes.len() < in_flight_max
            && let Some(batch) = self.gather.take_due(now)
        {
            self.send(batch);
        }
        while let Some(batch) = self.gather.take_overdue(now) {
            for submission in batch.items {
                submission.answer(Err(SamplingError::Busy));
            }
        }
    }

    /// Starts a request for those who still wait.
    fn send(&mut self, batch: Batch<Submission>) {
        let Batch { key, mut items } = batch;
        items.retain(|submission| !submission.is_left());
        if items.is_empty() {
            return;
        }
        let client = Arc::clone(&self.shop.client);
        let patience = self.shop.config.patience;
        let task = self.flushes.spawn(async move { flush(&*client, items, patience).await });
        self.keys.insert(task.id(), key.clone());
        self.gather.sent(key);
    }
}

/// What a flush comes to. One that panicked has dropped its submissions, which their callers see.
fn answered(flushed: Result<(Id, Vec<Submission>), JoinError>) -> Event {
    match flushed {
        Ok((id, again)) => Event::Answered(id, again),
        Err(error) => {
            tracing::error!(%error, "a sampling request was lost");
            Event::Answered(error.id(), Vec::new())
        }
    }
}

/// How many submissions the channel holds, and how many the worker gathers.
pub(super) fn capacity(config: &CoordinatorConfig) -> usize {
    config.max_batch.max(1).saturating_mul(2).saturating_add(16).min(Semaphore::MAX_PERMITS)
}

#[cfg(test)]
mod tests;

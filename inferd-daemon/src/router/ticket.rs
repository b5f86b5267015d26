//! A ticket: the right to start one request, on this lane or, until it has begun, on the next.

use std::sync::Arc;

use futures_util::StreamExt;
use inferd_engine::{Blame, Embedded, GenerateError, TokenEvent, TokenStream};
use inferd_proto::{EmbedRequest, Resolved};
use tokio::time::Instant;

use super::breaker::Outcome;
use super::hedge::race;
use super::job::{CUT_SHORT, Job};
use super::lane::{Lane, Use};
use super::{RouteError, Router};

/// See the module. Dropped, its use of the lane was abandoned.
#[derive(Debug)]
#[must_use]
pub struct Ticket<'r> {
    router: &'r Router,
    using: Use,
}

impl<'r> Ticket<'r> {
    pub(super) fn new(router: &'r Router, using: Use) -> Self {
        Self { router, using }
    }

    /// The lane's name.
    #[must_use]
    pub fn lane(&self) -> &str {
        self.using.lane().name()
    }

    /// Starts `request` and waits for its first event, trying the next lane when one fails before that, and another
    /// beside it when it is slow and configured so. `moved` is told each lane that has the request after the first.
    ///
    /// # Errors
    /// [`RouteError`]: the last lane's, when there is none left or nothing left to retry with.
    pub async fn start(self, request: Box<Resolved>, moved: impl FnMut(&str)) -> Result<Tokens, RouteError> {
        let (using, (first, rest)) = self.begin(request, moved).await?;
        let began = Instant::now();
        using.first_token(began);
        Ok(Tokens { first: Some(first), rest, began, using })
    }

    /// Embeds the texts of `request`, on the next lane when one fails: the vectors, and the lane that made them.
    ///
    /// # Errors
    /// As [`Ticket::start`].
    pub async fn embed(self, request: Box<EmbedRequest>) -> Result<(Embedded, String), RouteError> {
        let (using, embedded) = self.begin(request, |_| {}).await?;
        let lane = using.lane().name().to_owned();
        using.settle(Outcome::Served);
        Ok((embedded, lane))
    }

    /// Tries `job` on one lane after the other until it has begun on one.
    async fn begin<J: Job>(
        self,
        mut job: Box<J>,
        mut moved: impl FnMut(&str),
    ) -> Result<(Use, J::Begun), RouteError> {
        let Self { router, mut using } = self;
        let mut tried: Vec<Arc<Lane>> = Vec::new();
        loop {
            // The last lane gets the request itself; only where another could follow is it worth a copy.
            let spare = router.lanes.has_other(&tried, using.lane()).then(|| job.clone());
            let error = match (&spare, using.lane().hedge_after()) {
                (Some(spare), Some(patience)) => {
                    let raced = race(router, using, patience, (job, spare), &mut tried, &mut moved);
                    // Kept out of the way of requests that are not hedged, as it is large.
                    match Box::pin(raced).await {
                        (using, Ok(begun)) => return Ok((using, begun)),
                        (failed, Err(error)) => {
                            using = failed;
                            error
                        }
                    }
                }
                _ => match job.attempt(using.lane()).await {
                    Ok(begun) => return Ok((using, begun)),
                    Err(error) => error,
                },
            };
            let may_move = error.blame() != Blame::Caller;
            let lane = router.settle_failed(using, &error, &mut tried);
            let failed = RouteError::Lane { lane, error };
            job = match spare {
                Some(spare) if may_move && router.budget().withdraw(Instant::now()) => spare,
                _ => return Err(failed),
            };
            using = match Box::pin(router.lanes.pick(job.need(), &tried)).await {
                Ok(using) => using,
                Err(_) => return Err(failed),
            };
            moved(using.lane().name());
        }
    }
}

impl Router {
    /// Settles a use whose attempt ended with `error`, and counts its lane as tried; the lane's name.
    pub(super) fn settle_failed(
        &self,
        using: Use,
        error: &GenerateError,
        tried: &mut Vec<Arc<Lane>>,
    ) -> String {
        let lane = Arc::clone(using.lane());
        let outcome = outcome_of(error);
        using.settle(outcome);
        tracing::warn!(lane = lane.name(), %error, ?outcome, "attempt failed before the first token");
        if matches!(error, GenerateError::ModelNotFound(_)) {
            lane.doubt_list();
            self.lists_wanted.notify_one();
        }
        let name = lane.name().to_owned();
        tried.push(lane);
        name
    }
}

fn outcome_of(error: &GenerateError) -> Outcome {
    match error.blame() {
        // It said nothing about how it will be once it is ready, or with a request that suits it.
        Blame::Nobody if matches!(error, GenerateError::NotReady | GenerateError::Declined(_)) => {
            Outcome::Abandoned
        }
        // It answered; that the answer was no is not its fault.
        Blame::Caller | Blame::Nobody => Outcome::Served,
        Blame::Lane => Outcome::Failed,
        Blame::Rest(asked) => Outcome::Rest(asked),
    }
}

/// A started answer. Dropped before its end, the generation is cancelled and the lane blamed for nothing.
pub struct Tokens {
    first: Option<TokenEvent>,
    rest: TokenStream,
    began: Instant,
    using: Use,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("using", &self.using).finish_non_exhaustive()
    }
}

impl Tokens {
    /// The lane's name.
    #[must_use]
    pub fn lane(&self) -> &str {
        self.using.lane().name()
    }

    /// When the first event came.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.began
    }

    /// The next event; a stream that just ends gives `Failed`.
    pub async fn next(&mut self) -> TokenEvent {
        if let Some(first) = self.first.take() {
            return first;
        }
        self.rest
            .next()
            .await
            .unwrap_or_else(|| TokenEvent::Failed(GenerateError::Unavailable(CUT_SHORT.into())))
    }

    /// Settles the use of the lane as served.
    pub fn served(self) {
        self.using.settle(Outcome::Served);
    }

    /// Settles the use of the lane as ended by `error`.
    pub fn failed(self, error: &GenerateError) {
        self.using.settle(outcome_of(error));
    }
}

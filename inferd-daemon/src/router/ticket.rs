//! A ticket: the right to start one request, on this lane or, until its first token, on the next.

use std::sync::Arc;

use futures_util::StreamExt;
use inferd_engine::{Blame, GenerateError, TokenEvent, TokenStream};
use inferd_proto::Resolved;
use tokio::time::Instant;

use super::breaker::Outcome;
use super::lane::{Lane, Use};
use super::{RouteError, Router};

/// See the module. Dropped, its use of the lane was abandoned.
#[derive(Debug)]
#[must_use]
pub struct Ticket<'r> {
    router: &'r Router,
    using: Use,
    tried: Vec<Arc<Lane>>,
}

/// What a stream that just ended is called.
const CUT_SHORT: &str = "the answer was cut short";

impl<'r> Ticket<'r> {
    pub(super) fn new(router: &'r Router, using: Use) -> Self {
        Self { router, using, tried: Vec::new() }
    }

    /// The lane's name.
    #[must_use]
    pub fn lane(&self) -> &str {
        self.using.lane().name()
    }

    /// Starts `request` and waits for its first event, trying the next lane when one fails before that.
    /// `moved` is told each lane after the first.
    ///
    /// # Errors
    /// [`RouteError`]: the last lane's, when there is none left or nothing left to retry with.
    pub async fn start(
        mut self,
        request: Box<Resolved>,
        mut moved: impl FnMut(&str),
    ) -> Result<Tokens, RouteError> {
        let mut request = request;
        loop {
            // The last lane gets the request itself; only where another could follow is it worth a copy.
            let spare = self.router.has_other(&self.tried, self.using.lane()).then(|| request.clone());
            let model = spare.as_ref().and_then(|request| request.model.clone());
            match attempt(&self.using, request).await {
                Ok((first, rest)) => {
                    let began = Instant::now();
                    self.using.first_token(began);
                    return Ok(Tokens { first: Some(first), rest, began, using: self.using });
                }
                Err(error) => {
                    let lane = Arc::clone(self.using.lane());
                    let outcome = outcome_of(&error);
                    self.using.settle(outcome);
                    tracing::warn!(lane = lane.name(), %error, ?outcome, "attempt failed before the first token");
                    let failed = RouteError::Lane { lane: lane.name().to_owned(), error };
                    self.tried.push(lane);
                    request = match spare {
                        Some(spare) if may_move(self.router, &failed) => spare,
                        _ => return Err(failed),
                    };
                    self.using = match self.router.pick(model.as_deref(), &self.tried, Instant::now()).await {
                        Ok(using) => using,
                        Err(_) => return Err(failed),
                    };
                    moved(self.using.lane().name());
                }
            }
        }
    }
}

/// One attempt: the first event and what follows it.
async fn attempt(
    using: &Use,
    mut request: Box<Resolved>,
) -> Result<(TokenEvent, TokenStream), GenerateError> {
    let lane = using.lane();
    request.model = request.model.map(|model| lane.resolve(model));
    let mut stream = lane.backend().generate(*request).await?;
    match stream.next().await {
        Some(TokenEvent::Failed(error)) => Err(error),
        Some(first) => Ok((first, stream)),
        None => Err(GenerateError::Unavailable(CUT_SHORT.into())),
    }
}

fn may_move(router: &Router, failed: &RouteError) -> bool {
    match failed {
        RouteError::Lane { error, .. } if error.blame() != Blame::Caller => {
            router.budget().withdraw(Instant::now())
        }
        _ => false,
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

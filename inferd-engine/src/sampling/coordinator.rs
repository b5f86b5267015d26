//! What stands before a peer, and sends calls that arrive together as one.
//!
//! Calls come in from many tasks; a worker gathers them (`gather`), sends them (`flush`) and gives each its answer.
//!
//! Invariants:
//! - One worker a coordinator. It ends with the last handle, or by [`SamplingCoordinator::shutdown`], after it has
//!   sent what it has taken.
//! - A call that is dropped is taken back, wherever it is.

mod answer;
mod batch;
mod flush;
mod gather;
mod key;
mod submission;
mod worker;

pub use key::BatchKey;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rmcp::model::{CreateMessageRequestParams, CreateMessageResult};
use tokio::sync::mpsc::{self, Sender};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::call::{Call, refuse_re_entry};
use super::client::{Offer, SamplingClient};
use super::config::CoordinatorConfig;
use super::error::SamplingError;
use super::standoff::{Standoff, Waiting};
use submission::{Answered, Submission};
use worker::{Workshop, capacity, run};

/// [`SamplingCoordinator::new`] gathers for so long,
const WINDOW: Duration = Duration::from_secs(5);
/// and so many.
const MAX_BATCH: usize = 10;

/// See the module. Clones are handles to one.
#[derive(Clone)]
pub struct SamplingCoordinator {
    client: Arc<dyn SamplingClient>,
    submissions: Sender<Submission>,
    retry_alone: bool,
    standoff: Standoff,
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl SamplingCoordinator {
    /// Gathers for 5 s after a first call, or 10 calls. To be called within a runtime, as all of these.
    #[must_use]
    pub fn new(inner: Arc<dyn SamplingClient>) -> Self {
        Self::with_settings(inner, WINDOW, MAX_BATCH)
    }

    /// Gathers for `window` after a first call, or `max_batch` calls (0 counts as 1); without a window, none. What a
    /// merged answer lacks fails, and is not asked for again.
    #[must_use]
    pub fn with_settings(inner: Arc<dyn SamplingClient>, window: Duration, max_batch: usize) -> Self {
        Self::with_config(inner, CoordinatorConfig::fixed(window, max_batch))
    }

    /// As the daemon does it: an idle peer is asked soon, a busy one gets what gathers meanwhile in one request.
    #[must_use]
    pub fn adaptive(inner: Arc<dyn SamplingClient>) -> Self {
        Self::with_config(inner, CoordinatorConfig::default())
    }

    /// As `config` says.
    #[must_use]
    pub fn with_config(inner: Arc<dyn SamplingClient>, config: CoordinatorConfig) -> Self {
        let (submissions, received) = mpsc::channel(capacity(&config));
        let (closing, tasks) = (CancellationToken::new(), TaskTracker::new());
        let retry_alone = config.retry_alone;
        let worker = Workshop {
            client: Arc::clone(&inner),
            config,
            key: BatchKey::of,
            submissions: received,
            closing: closing.clone(),
        };
        tasks.spawn(run(worker));
        tasks.close();
        Self { client: inner, submissions, retry_alone, standoff: Standoff::default(), closing, tasks }
    }

    /// Asks the peer, alone or together with others. Nothing happens before the future is polled; it holds no handle
    /// once the call is taken.
    ///
    /// # Errors
    /// [`SamplingError`]: the peer's, or the coordinator's own.
    pub fn submit(
        &self,
        params: CreateMessageRequestParams,
    ) -> impl Future<Output = Answered> + Send + use<> {
        self.clone().enter(Call::from(params))
    }

    /// Takes nothing more, sends what it has taken, and waits for the answers.
    pub async fn shutdown(&self) {
        self.closing.cancel();
        self.tasks.wait().await;
    }

    /// What keeps its peer from waiting for itself. Whoever lets the peer's own requests in asks it.
    #[must_use]
    pub fn standoff(&self) -> &Standoff {
        &self.standoff
    }

    async fn enter(self, call: Call) -> Answered {
        refuse_re_entry(&call.caller, self.client.session().as_deref())?;
        let _asked = self.standoff.ask()?;
        let (submission, answer) = Submission::new(call, Instant::now(), self.retry_alone);
        let sent = self.submissions.send(submission).await;
        drop(self);
        sent.map_err(|_| SamplingError::ShutDown)?;
        answer.await.unwrap_or(Err(SamplingError::Internal))
    }
}

#[async_trait]
impl SamplingClient for SamplingCoordinator {
    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
    ) -> Result<CreateMessageResult, SamplingError> {
        self.call(Call::from(params)).await
    }

    async fn call(&self, call: Call) -> Result<CreateMessageResult, SamplingError> {
        self.clone().enter(call).await
    }

    fn offer(&self) -> Offer {
        let offer = self.client.offer();
        Offer { available: offer.available && !self.closing.is_cancelled(), ..offer }
    }

    fn stand_off(&self, session: &str) -> Result<Vec<Waiting>, SamplingError> {
        match self.session() {
            Some(own) if *own == *session => Ok(vec![self.standoff.wait()?]),
            _ => Ok(Vec::new()),
        }
    }

    fn session(&self) -> Option<Arc<str>> {
        self.client.session()
    }
}

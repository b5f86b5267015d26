//! A peer of the pool: whom it answers, and how busy it is.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use inferd_engine::sampling::{
    Call, CreateMessageRequestParams, CreateMessageResult, Offer, SamplingClient, SamplingCoordinator,
    SamplingError, Standoff,
};
use inferd_proto::Caller;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Scope, Terms};

/// How long a peer that let a call's time pass is asked after all others.
const STRUCK_FOR: Duration = Duration::from_secs(60);

/// The most calls that may go as one, see [`inferd_engine::sampling::CoordinatorConfig`].
const TOGETHER_MAX: usize = 10;

pub(super) struct Peer {
    terms: Terms,
    client: Arc<Asked>,
    /// What a call is put to: the client, or what stands before it.
    front: Arc<dyn SamplingClient>,
    standoff: Standoff,
    recent: Mutex<Recent>,
    /// The calls that it has not answered.
    open: TaskTracker,
    /// It answers what it was asked, and is asked no more.
    runs_out: AtomicBool,
    /// Cancelled when it leaves.
    gone: CancellationToken,
}

/// What a peer was asked last.
#[derive(Debug, Default)]
struct Recent {
    /// Whose call it was given last.
    caller: Option<Caller>,
    at: Option<Instant>,
    /// Until when it is asked after all others.
    struck: Option<Instant>,
}

/// Whether a peer may be asked.
pub(super) enum Suits {
    Yes,
    No(SamplingError),
}

/// How much speaks against a peer; compared as it is written.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Load {
    is_struck: bool,
    /// The call cannot be one with those that it gathers.
    is_apart: bool,
    calls: usize,
    asked_last: Option<Instant>,
}

impl Peer {
    pub(super) fn new(client: Arc<dyn SamplingClient>, terms: Terms) -> Self {
        let client = Arc::new(Asked { client, requests: AtomicUsize::new(0) });
        let coordinator = SamplingCoordinator::adaptive(Arc::clone(&client) as Arc<dyn SamplingClient>);
        let standoff = coordinator.standoff().clone();
        Self::with(terms, client, Arc::new(coordinator), standoff)
    }

    /// One that gets each call by itself.
    pub(super) fn apart(client: Arc<dyn SamplingClient>, terms: Terms) -> Self {
        let client = Arc::new(Asked { client, requests: AtomicUsize::new(0) });
        let standoff = Standoff::default();
        let front = Apart { client: Arc::clone(&client), standoff: standoff.clone() };
        Self::with(terms, client, Arc::new(front), standoff)
    }

    fn with(terms: Terms, client: Arc<Asked>, front: Arc<dyn SamplingClient>, standoff: Standoff) -> Self {
        Self {
            terms,
            client,
            front,
            standoff,
            recent: Mutex::default(),
            open: TaskTracker::new(),
            runs_out: AtomicBool::new(false),
            gone: CancellationToken::new(),
        }
    }

    pub(super) fn is_of(&self, session: &str) -> bool {
        *self.terms.session == *session
    }

    pub(super) fn session(&self) -> &str {
        &self.terms.session
    }

    pub(super) fn standoff(&self) -> &Standoff {
        &self.standoff
    }

    pub(super) fn offer(&self) -> Offer {
        let offer = self.front.offer();
        Offer { available: offer.available && !self.runs_out(), ..offer }
    }

    pub(super) fn suits(&self, call: &Call) -> Suits {
        let offer = self.offer();
        if !offer.available {
            return Suits::No(SamplingError::NoPeer);
        }
        if call.caller.session.as_deref().is_some_and(|session| self.is_of(session)) {
            return Suits::No(SamplingError::ReEntry(
                "the request came from the peer that would have to answer it",
            ));
        }
        if self.terms.scope == Scope::Own && self.terms.principal != call.caller.principal {
            let why = "no sampling peer that is connected lends its model to this caller";
            return Suits::No(SamplingError::Unsuited(why.to_owned()));
        }
        if call.params.tools.is_some() && !offer.tools {
            return Suits::No(SamplingError::Unsuited("tools: the sampling peer takes none".to_owned()));
        }
        Suits::Yes
    }

    /// How many calls wait for its answer.
    pub(super) fn calls(&self) -> usize {
        self.standoff().asked()
    }

    /// How much speaks against asking it for `caller`, where its session has so many calls to answer. A burst of one caller's stays together while it can be one request.
    pub(super) fn load(&self, caller: &Caller, calls: usize) -> Load {
        let gathers =
            (1..TOGETHER_MAX).contains(&self.calls()) && self.client.requests.load(Ordering::Acquire) == 0;
        let recent = self.recent();
        Load {
            is_struck: recent.struck.is_some_and(|until| Instant::now() < until),
            is_apart: !(gathers && recent.caller.as_ref() == Some(caller)),
            calls,
            asked_last: recent.at,
        }
    }

    /// Asks it. Once it has left there is no answer any more.
    pub(super) async fn call(&self, call: Call) -> Result<CreateMessageResult, SamplingError> {
        let _open = self.open.token();
        {
            let mut recent = self.recent();
            recent.caller = Some(call.caller.clone());
            recent.at = Some(Instant::now());
        }
        let answered = self.gone.run_until_cancelled(self.front.call(call)).await;
        let answered = answered
            .unwrap_or_else(|| Err(SamplingError::Transport("the peer left before it answered".to_owned())));
        match &answered {
            Ok(_) => self.recent().struck = None,
            Err(SamplingError::TimedOut(_)) => self.recent().struck = Some(Instant::now() + STRUCK_FOR),
            Err(_) => {}
        }
        answered
    }

    /// Has it asked no more from here on.
    pub(super) fn run_out(&self) {
        self.runs_out.store(true, Ordering::Release);
    }

    /// Whether it is asked no more.
    pub(super) fn runs_out(&self) -> bool {
        self.runs_out.load(Ordering::Acquire)
    }

    /// Waits until it has answered all that it was asked, where nobody asks it more.
    pub(super) async fn finish(&self) {
        self.open.close();
        self.open.wait().await;
    }

    /// Takes back what it was asked.
    pub(super) fn leave(&self) {
        self.gone.cancel();
    }

    /// Each change is one step: a poisoned lock is as good as any.
    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer")
            .field("terms", &self.terms)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// Puts calls to a peer as they are, and only counts them.
struct Apart {
    client: Arc<Asked>,
    standoff: Standoff,
}

#[async_trait]
impl SamplingClient for Apart {
    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
    ) -> Result<CreateMessageResult, SamplingError> {
        self.call(Call::from(params)).await
    }

    async fn call(&self, call: Call) -> Result<CreateMessageResult, SamplingError> {
        let _asked = self.standoff.ask()?;
        self.client.call(call).await
    }

    fn offer(&self) -> Offer {
        self.client.offer()
    }

    fn session(&self) -> Option<Arc<str>> {
        self.client.session()
    }
}

/// Counts the requests that a peer has before it.
struct Asked {
    client: Arc<dyn SamplingClient>,
    requests: AtomicUsize,
}

#[async_trait]
impl SamplingClient for Asked {
    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
    ) -> Result<CreateMessageResult, SamplingError> {
        self.call(Call::from(params)).await
    }

    async fn call(&self, call: Call) -> Result<CreateMessageResult, SamplingError> {
        self.requests.fetch_add(1, Ordering::AcqRel);
        let _open = Open(&self.requests);
        self.client.call(call).await
    }

    fn offer(&self) -> Offer {
        self.client.offer()
    }

    fn session(&self) -> Option<Arc<str>> {
        self.client.session()
    }
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").field("requests", &self.requests).finish_non_exhaustive()
    }
}

/// A request that is not answered yet.
struct Open<'a>(&'a AtomicUsize);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

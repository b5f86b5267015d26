//! A session's client as one that lends its model: it enters with what it declared, and is in the pool while it can be
//! reached.
//!
//! Invariants:
//! - A client is one peer at a time: while it lends by a call of `lend_model`, it is not asked on its standalone stream.
//! - It is in the pool while somebody reads the stream that it is asked on, and [`GRACE`] longer: clients come back.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use inferd_proto::Caller;
use rmcp::model::RequestId;
use rmcp::{Peer, RoleServer};
use tokio::sync::watch;

use super::requests::{Progress, Requests};
use super::rounds::Rounds;
use super::{Pool, Scope, Terms};
use crate::mcp::session::{SessionState, StreamId};

/// How long a client whose stream has broken is waited for before others get what it has not answered.
const GRACE: Duration = Duration::from_secs(3);

/// What a daemon does with clients that can lend their models.
#[derive(Debug, Clone)]
pub(crate) struct Lending {
    pool: Pool,
    standalone: watch::Receiver<bool>,
    rounds: Arc<Rounds>,
}

impl Lending {
    /// They come to `pool`. `standalone` says whether they are asked on their standalone stream, without having called
    /// `lend_model`. To be called within a runtime.
    pub(crate) fn new(pool: Pool, standalone: watch::Receiver<bool>) -> Self {
        let rounds = Arc::new(Rounds::new(pool.clone()));
        Self { pool, standalone, rounds }
    }
}

/// The client of one session. Clones are of the same.
#[derive(Debug, Clone)]
pub(crate) struct Lender {
    lending: Lending,
    progress: Progress,
    /// Whether it lends by a call of its own.
    by_call: Arc<watch::Sender<bool>>,
}

/// A client that has declared `sampling`.
#[derive(Debug)]
pub(crate) struct Willing {
    peer: Peer<RoleServer>,
    session: Arc<SessionState>,
    /// The session's name, and whose it is.
    terms: Terms,
    /// Whether it takes tools.
    tools: bool,
}

impl Willing {
    /// The client behind `peer`, who is `caller`. `None`: it has not declared that it can be asked, or has no session.
    pub(crate) fn of(peer: Peer<RoleServer>, session: Arc<SessionState>, caller: &Caller) -> Option<Self> {
        let sampling = peer.peer_info()?.capabilities.sampling.clone()?;
        let terms = Terms {
            session: caller.session.clone()?,
            principal: caller.principal.clone(),
            scope: Scope::Own,
        };
        Some(Self { peer, session, terms, tools: sampling.tools.is_some() })
    }
}

/// A client lends by a call already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this session lends its model already")]
pub(crate) struct LendsAlready;

impl Lender {
    /// The client of a new session.
    pub(crate) fn new(lending: Lending) -> Self {
        Self { lending, progress: Progress::default(), by_call: Arc::default() }
    }

    /// Where it lends if it has no session.
    pub(crate) fn rounds(&self) -> &Arc<Rounds> {
        &self.lending.rounds
    }

    /// The client reports progress with what it was asked.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Lends on the standalone stream, as long as that is configured. Ends with the session.
    pub(crate) async fn stand(self, client: Willing) {
        let session = Arc::clone(&client.session);
        session.ended().run_until_cancelled(self.stand_by(client)).await;
    }

    async fn stand_by(self, client: Willing) {
        let (session, terms) = (Arc::clone(&client.session), client.terms.clone());
        let peer = Arc::new(self.requests(client, None));
        let mut standalone = self.lending.standalone.clone();
        let mut by_call = self.by_call.subscribe();
        loop {
            until(&mut standalone, true).await;
            until(&mut by_call, false).await;
            let lease = self.lending.pool.lend(Arc::clone(&peer) as _, terms.clone());
            let deserted = session.deserted(StreamId::STANDALONE, GRACE);
            let mut deserted = pin!(deserted);
            let goes_on = tokio::select! {
                () = until(&mut standalone, false) => true,
                () = until(&mut by_call, true) => true,
                () = &mut deserted => false,
            };
            if goes_on {
                // Nobody is asked once more for what they consider already.
                tokio::select! {
                    () = lease.run_out() => {}
                    () = deserted => {}
                }
            } else {
                drop(lease);
            }
            session.attended(StreamId::STANDALONE).await;
        }
    }

    /// Lends within `stream`, that of the client's call `id`. Ends with the session, or when it is dropped.
    ///
    /// # Errors
    /// [`LendsAlready`], at once.
    pub(crate) async fn lend_within(
        &self,
        client: Willing,
        (id, stream): (RequestId, StreamId),
        scope: Scope,
    ) -> Result<(), LendsAlready> {
        if self.by_call.send_replace(true) {
            return Err(LendsAlready);
        }
        let _lends = ByCall(&self.by_call);
        let (session, terms) = (Arc::clone(&client.session), Terms { scope, ..client.terms.clone() });
        let peer = Arc::new(self.requests(client, Some(id)));
        let lend = async {
            loop {
                session.attended(stream).await;
                let lease = self.lending.pool.lend(Arc::clone(&peer) as _, terms.clone());
                session.deserted(stream, GRACE).await;
                drop(lease);
            }
        };
        let Some(never) = session.ended().run_until_cancelled(lend).await else { return Ok(()) };
        never
    }

    fn requests(&self, client: Willing, within: Option<RequestId>) -> Requests {
        let Willing { peer, terms, tools, .. } = client;
        Requests { peer, session: terms.session, within, tools, progress: self.progress.clone() }
    }
}

/// Waits until it is so. For ever, if nobody is left who could say so.
async fn until(word: &mut watch::Receiver<bool>, so: bool) {
    if word.wait_for(|is| *is == so).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// A call by which a client lends.
struct ByCall<'a>(&'a watch::Sender<bool>);

impl Drop for ByCall<'_> {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

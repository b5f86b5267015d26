//! The peers that lend their models now. A call enters, the peer that suits it best answers.
//!
//! Invariants:
//! - Each peer has a coordinator of its own, or none: what is asked of one never waits for another.
//! - A peer is in the pool for as long as its [`Lease`] is held.
//! - Nobody is asked twice for one call, and nobody at all once a peer has answered, be it with a no.

mod peer;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use async_trait::async_trait;
use inferd_engine::sampling::{
    Call, CreateMessageRequestParams, CreateMessageResult, Offer, SamplingClient, SamplingError, Waiting,
};
use tokio::sync::watch;

use peer::{Peer, Suits};

/// Whose calls a peer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Scope {
    /// Those of its own principal.
    #[default]
    Own,
    /// Everybody's.
    All,
}

/// On which terms a model is lent.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// The session of the peer, or what stands for one. Calls that came by it are not sent to it.
    pub(crate) session: Arc<str>,
    /// Whose model it is, as [`Caller::principal`] has it.
    pub(crate) principal: Option<Arc<str>>,
    /// Whose calls it answers.
    pub(crate) scope: Scope,
}

/// See the module. Clones are the same pool.
#[derive(Clone, Default)]
pub(crate) struct Pool(Arc<Inner>);

#[derive(Default)]
struct Inner {
    peers: RwLock<Vec<Arc<Peer>>>,
    /// How many there are.
    present: watch::Sender<usize>,
}

/// A peer's place in the pool. Dropped, the peer is out, and its unanswered calls go to others.
#[must_use = "the peer is in the pool as long as this is held"]
pub(crate) struct Lease {
    pool: Pool,
    peer: Arc<Peer>,
}

impl Pool {
    /// Takes `peer` in. It is asked through a coordinator that is made here, so calls that arrive together reach it as one.
    /// To be called within a runtime.
    pub(crate) fn lend(&self, peer: Arc<dyn SamplingClient>, terms: Terms) -> Lease {
        self.take_in(Peer::new(peer, terms))
    }

    /// Takes in a peer whose user sees several calls together as they are: each is put to it by itself.
    pub(crate) fn lend_apart(&self, peer: Arc<dyn SamplingClient>, terms: Terms) -> Lease {
        self.take_in(Peer::apart(peer, terms))
    }

    fn take_in(&self, peer: Peer) -> Lease {
        let peer = Arc::new(peer);
        self.change(|peers| peers.push(Arc::clone(&peer)));
        Lease { pool: self.clone(), peer }
    }

    /// Tells how many peers there are, now and whenever that changes.
    pub(crate) fn watch(&self) -> watch::Receiver<usize> {
        self.0.present.subscribe()
    }

    /// The peer to ask next. `tried` have been asked.
    fn choose(&self, call: &Call, tried: &[Arc<Peer>]) -> Result<Arc<Peer>, SamplingError> {
        let peers = self.peers();
        // A session may be leaving by one way and have come by another: it is one client.
        let calls = |of: &Peer| -> usize {
            peers.iter().filter(|peer| peer.is_of(of.session())).map(|peer| peer.calls()).sum()
        };
        let load = |peer: &Peer| peer.load(&call.caller, calls(peer));
        let mut why = SamplingError::NoPeer;
        let mut best: Option<&Arc<Peer>> = None;
        for peer in peers.iter().filter(|peer| !tried.iter().any(|other| Arc::ptr_eq(other, peer))) {
            match peer.suits(call) {
                Suits::Yes if best.is_none_or(|best| load(peer) < load(best)) => {
                    best = Some(peer);
                }
                Suits::Yes => {}
                Suits::No(error) => why = error,
            }
        }
        best.cloned().ok_or(why)
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Peer>>)) {
        let mut peers = self.0.peers.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut peers);
        let present = peers.iter().filter(|peer| !peer.runs_out()).count();
        // Under the lock, so that what is told last is what is so.
        self.0.present.send_replace(present);
    }

    /// Whoever writes adds or takes out one: there is nothing half done to be found.
    fn peers(&self) -> RwLockReadGuard<'_, Vec<Arc<Peer>>> {
        self.0.peers.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("peers", &self.peers().len()).finish()
    }
}

#[async_trait]
impl SamplingClient for Pool {
    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
    ) -> Result<CreateMessageResult, SamplingError> {
        self.call(Call::from(params)).await
    }

    async fn call(&self, call: Call) -> Result<CreateMessageResult, SamplingError> {
        let mut tried = Vec::new();
        let mut last = None;
        loop {
            let peer = match self.choose(&call, &tried) {
                Ok(peer) => peer,
                // What kept the last one from answering says more than that there is no other.
                Err(none) => return Err(last.unwrap_or(none)),
            };
            match peer.call(call.clone()).await {
                Err(error) if error.lets_another_try() => {
                    tracing::debug!(%error, "a sampling call moves on to another peer");
                    last = Some(error);
                    tried.push(peer);
                }
                answered => return answered,
            }
        }
    }

    fn stand_off(&self, session: &str) -> Result<Vec<Waiting>, SamplingError> {
        let peers = self.peers();
        peers.iter().filter(|peer| peer.is_of(session)).map(|peer| peer.standoff().wait()).collect()
    }

    fn offer(&self) -> Offer {
        let peers = self.peers();
        let offers = || peers.iter().map(|peer| peer.offer()).filter(|offer| offer.available);
        Offer { available: offers().next().is_some(), tools: offers().any(|offer| offer.tools) }
    }
}

impl Lease {
    /// Has the peer answer what it was asked, and asks it no more. Resolves when it has.
    pub(crate) async fn run_out(self) {
        self.pool.change(|_| self.peer.run_out());
        self.peer.finish().await;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.change(|peers| peers.retain(|peer| !Arc::ptr_eq(peer, &self.peer)));
        self.peer.leave();
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("peer", &self.peer).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

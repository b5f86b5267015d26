//! Keeps a peer from waiting for itself.
//!
//! A request of another program that holds a permit may wait for a peer's answer, while a request of that peer waits for
//! a permit. Neither would end. So each side first takes its own half of a peer's standoff, and is refused while anybody
//! holds the other half.
//!
//! Invariant: never both an [`Asked`] and a [`Waiting`] of one peer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::SamplingError;

/// What one peer is waited for with, and what of it waits. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Standoff(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    asked: usize,
    waiting: usize,
}

/// Somebody waits for the peer's answer. Dropped, no longer.
#[derive(Debug)]
#[must_use]
pub struct Asked(Standoff);

/// The peer's own request waits for a permit. Dropped, no longer.
#[derive(Debug)]
#[must_use]
pub struct Waiting(Standoff);

impl Standoff {
    /// Before a request waits for the peer.
    ///
    /// # Errors
    /// [`SamplingError::ReEntry`] while a request of the peer waits for a permit.
    pub fn ask(&self) -> Result<Asked, SamplingError> {
        let mut counts = self.counts();
        if counts.waiting > 0 {
            return Err(SamplingError::ReEntry("the peer itself waits for its turn"));
        }
        counts.asked += 1;
        Ok(Asked(self.clone()))
    }

    /// Before a request of the peer waits for a permit; to be dropped once it has one.
    ///
    /// # Errors
    /// [`SamplingError::ReEntry`] while anybody waits for the peer.
    pub fn wait(&self) -> Result<Waiting, SamplingError> {
        let mut counts = self.counts();
        if counts.asked > 0 {
            return Err(SamplingError::ReEntry(
                "the peer has calls to answer before its own request can wait",
            ));
        }
        counts.waiting += 1;
        Ok(Waiting(self.clone()))
    }

    /// How many wait for the peer's answer.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.counts().asked
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.counts().asked -= 1;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.counts().waiting -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_asked_or_waits_but_never_both() {
        let standoff = Standoff::default();
        let first = standoff.ask().unwrap();
        let second = standoff.ask().unwrap();
        assert_eq!(standoff.asked(), 2);
        drop(first);
        assert!(matches!(standoff.wait(), Err(SamplingError::ReEntry(_))));
        drop(second);
        let waiting = standoff.wait().unwrap();
        assert!(matches!(standoff.ask(), Err(SamplingError::ReEntry(_))));
        drop(waiting);
        drop(standoff.ask().unwrap());
        assert_eq!(standoff.asked(), 0);
    }
}

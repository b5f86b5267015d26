//! Who uses the daemon, and how much of it they have had.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What counts as one client.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ClientKey {
    /// A process of a user, on a local socket.
    Process {
        /// User id.
        uid: u32,
        /// Process id.
        pid: u32,
    },
    /// A user, on a local socket.
    User {
        /// User id.
        uid: u32,
    },
    /// The holder of a named API key.
    Key(String),
    /// Whoever is behind one connection.
    Connection(u64),
    /// Whoever is behind one MCP session.
    Session(u64),
}

/// A client's account, as its connections hold it.
#[derive(Debug, Clone)]
pub struct Client(Arc<Account>);

impl Client {
    pub(super) fn account(&self) -> &Arc<Account> {
        &self.0
    }
}

/// The virtual token counter of one client (Sheng et al., "Fairness in Serving Large Language Models", OSDI 2024).
#[derive(Debug, Default)]
pub(super) struct Account {
    counter: AtomicU64,
    running: AtomicU32,
    /// Requests waiting; only changed under the queue's lock.
    waiting: AtomicU32,
}

impl Account {
    pub(super) fn counter(&self) -> u64 {
        self.counter.load(Ordering::Relaxed)
    }

    pub(super) fn charge(&self, cost: u64) {
        self.counter.fetch_add(cost, Ordering::Relaxed);
    }

    /// Replaces a charge of `was` by one of `is`.
    pub(super) fn correct(&self, was: u64, is: u64) {
        if was != is {
            self.counter.fetch_add(is.wrapping_sub(was), Ordering::Relaxed);
        }
    }

    pub(super) fn lift(&self, least: u64) {
        self.counter.fetch_max(least, Ordering::Relaxed);
    }

    pub(super) fn begin(&self, prompt_cost: u64) {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.charge(prompt_cost);
    }

    pub(super) fn end(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn waits(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn waits_no_more(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Places it holds.
    pub(super) fn places(&self) -> usize {
        self.waiting.load(Ordering::Relaxed) as usize
    }

    fn is_active(&self) -> bool {
        self.running.load(Ordering::Relaxed) > 0 || self.waiting.load(Ordering::Relaxed) > 0
    }
}

/// Accounts without a connection are kept until there are this many, so that reconnecting wins nothing.
const ACCOUNTS_KEPT: usize = 1024;

/// All accounts by client.
#[derive(Debug)]
pub(super) struct Accounts {
    by_key: HashMap<ClientKey, Arc<Account>>,
    sweep_at: usize,
}

impl Default for Accounts {
    fn default() -> Self {
        Self { by_key: HashMap::new(), sweep_at: ACCOUNTS_KEPT }
    }
}

impl Accounts {
    pub(super) fn open(&mut self, key: ClientKey) -> Client {
        if self.by_key.len() >= self.sweep_at {
            self.by_key.retain(|_, account| Arc::strong_count(account) > 1);
            self.sweep_at = ACCOUNTS_KEPT.max(2 * self.by_key.len());
        }
        Client(Arc::clone(self.by_key.entry(key).or_default()))
    }

    pub(super) fn connected(&self) -> usize {
        self.by_key.values().filter(|account| Arc::strong_count(account) > 1).count()
    }

    /// The least counter among the active clients other than `newcomer`.
    pub(super) fn least_active(&self, newcomer: &Arc<Account>) -> Option<u64> {
        self.by_key
            .values()
            .filter(|account| account.is_active() && !Arc::ptr_eq(account, newcomer))
            .map(|account| account.counter())
            .min()
    }
}

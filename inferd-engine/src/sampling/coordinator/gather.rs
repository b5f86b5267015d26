//! Calls that wait to be sent, in groups that leave together.
//!
//! Items come in with what may be merged (their key) and what they weigh; batches go out when they are due. Calls gather
//! behind requests of their own key alone: nobody waits for a stranger. A value: time is an argument, and nothing here
//! knows what an item is.
//!
//! Invariants:
//! - Every item leaves exactly once; those of one key leave in the order in which they came.
//! - A batch is of one key, and within every limit unless it is a single item.
//! - Whoever takes no more than [`Gather::room`] items at a time keeps it within `held_max`.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::key::BatchKey;
use crate::sampling::config::{CoordinatorConfig, Gathering};

/// What an item adds to a merged request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Weight {
    pub(super) bytes: usize,
    pub(super) tokens: u32,
}

impl Weight {
    fn and(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            tokens: self.tokens.saturating_add(other.tokens),
        }
    }

    fn is_within(self, limit: Self) -> bool {
        self.bytes <= limit.bytes && self.tokens <= limit.tokens
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Gather<T> {
    groups: VecDeque<Group<T>>,
    /// The keys of requests under way.
    under_way: Vec<BatchKey>,
    held: usize,
    held_max: usize,
    gathering: Gathering,
    batch_max: usize,
    limit: Weight,
}

/// What leaves together.
#[derive(Debug, PartialEq)]
pub(super) struct Batch<T> {
    pub(super) key: Option<BatchKey>,
    pub(super) items: Vec<T>,
}

#[derive(Debug)]
struct Group<T> {
    /// None: nothing joins it.
    key: Option<BatchKey>,
    items: Vec<T>,
    weight: Weight,
    /// When the first of them came.
    since: Instant,
    /// Nothing more is waited for.
    complete: bool,
    /// It waited behind a request that has been answered since.
    released: bool,
}

impl<T> Gather<T> {
    pub(super) fn new(config: &CoordinatorConfig, held_max: usize) -> Self {
        Self {
            groups: VecDeque::new(),
            under_way: Vec::new(),
            held: 0,
            held_max,
            gathering: config.gathering,
            batch_max: config.max_batch.max(1),
            limit: Weight { bytes: config.batch_bytes_max, tokens: config.batch_tokens_max },
        }
    }

    /// How many more items may come in.
    pub(super) fn room(&self) -> usize {
        self.held_max.saturating_sub(self.held)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Takes an item that came at `since`; without a key, or too heavy for company, it leaves alone and at once.
    pub(super) fn push(&mut self, item: T, key: Option<BatchKey>, weight: Weight, since: Instant) {
        self.held += 1;
        let key = key.filter(|_| weight.is_within(self.limit));
        let open = self.groups.iter_mut().find(|group| !group.complete && group.key == key);
        if let Some(group) = open {
            let heavier = group.weight.and(weight);
            if heavier.is_within(self.limit) {
                group.items.push(item);
                group.weight = heavier;
                group.since = group.since.min(since);
                group.complete = group.items.len() >= self.batch_max;
                return;
            }
            group.complete = true;
        }
        let complete = key.is_none() || self.batch_max == 1;
        self.groups.push_back(Group { key, items: vec![item], weight, since, complete, released: false });
    }

    /// A batch of `key` was sent.
    pub(super) fn sent(&mut self, key: Option<BatchKey>) {
        self.under_way.extend(key);
    }

    /// One was answered: what waited behind it need not wait on.
    pub(super) fn answered(&mut self, key: Option<&BatchKey>) {
        let Some(key) = key else { return };
        if let Some(at) = self.under_way.iter().position(|other| other == key) {
            self.under_way.swap_remove(at);
        }
        for group in self.groups.iter_mut().filter(|group| group.key.as_ref() == Some(key)) {
            group.released = true;
        }
    }

    /// Nothing more comes: all of it is due.
    pub(super) fn complete(&mut self) {
        for group in &mut self.groups {
            group.complete = true;
        }
    }

    /// The next batch that is due at `now`.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Batch<T>> {
        let at = self.groups.iter().position(|group| self.due(group).is_some_and(|due| due <= now))?;
        self.take(at)
    }

    /// The next batch that has waited for longer than it may.
    pub(super) fn take_overdue(&mut self, now: Instant) -> Option<Batch<T>> {
        let at = self.groups.iter().position(|group| self.overdue(group).is_some_and(|then| then <= now))?;
        self.take(at)
    }

    /// When the next batch is due; `None` is never, or nothing waits.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.groups.iter().filter_map(|group| self.due(group)).min()
    }

    /// When the next batch has waited for too long.
    pub(super) fn next_overdue(&self) -> Option<Instant> {
        self.groups.iter().filter_map(|group| self.overdue(group)).min()
    }

    fn due(&self, group: &Group<T>) -> Option<Instant> {
        // With no room for more there is nothing to wait for.
        if group.complete || self.room() == 0 {
            return Some(group.since);
        }
        let wait = match self.gathering {
            Gathering::Fixed { window } => window,
            Gathering::Adaptive { window, .. } if self.is_behind(group) => window,
            Gathering::Adaptive { gather, window } => gather.min(window),
        };
        group.since.checked_add(wait)
    }

    fn is_behind(&self, group: &Group<T>) -> bool {
        !group.released && group.key.as_ref().is_some_and(|key| self.under_way.contains(key))
    }

    fn overdue(&self, group: &Group<T>) -> Option<Instant> {
        match self.gathering {
            Gathering::Fixed { .. } => None,
            Gathering::Adaptive { window, .. } => group.since.checked_add(window),
        }
    }

    fn take(&mut self, at: usize) -> Option<Batch<T>> {
        let Group { key, items, .. } = self.groups.remove(at)?;
        self.held -= items.len();
        Some(Batch { key, items })
    }
}

#[cfg(test)]
mod tests;

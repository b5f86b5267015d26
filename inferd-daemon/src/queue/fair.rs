//! Who is next: a value, with time as an argument and nothing asynchronous.
//!
//! Invariants:
//! - A better band goes first; a waiter rises one band each `ageing`.
//! - Inside a band the client with the least service so far goes first, the longest-waiting among equals.
//! - Who has no leave to go yet is stepped over and keeps its place.
//! - Of one client's waiters of one band those that have leave go in the order they came. With one client, and leave for
//!   all, this is first in, first out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use inferd_proto::Priority;
use tokio::time::Instant;

use super::account::Account;
use super::band;

const BANDS: usize = 3;

/// Where a waiter stands, to find it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    band: usize,
    ticket: u64,
}

/// A waiter taken out.
#[derive(Debug)]
pub(super) struct Next<T> {
    pub(super) account: Arc<Account>,
    pub(super) cost: u64,
    pub(super) payload: T,
}

#[derive(Debug)]
struct Waiter<T> {
    ticket: u64,
    since: Instant,
    cost: u64,
    payload: T,
}

/// One client's waiters.
#[derive(Debug)]
struct Line<T> {
    account: Arc<Account>,
    bands: [VecDeque<Waiter<T>>; BANDS],
}

/// The queue. Its operations look at every waiting client, of which there are at most as many as places.
#[derive(Debug)]
pub(super) struct FairQueue<T> {
    lines: Vec<Line<T>>,
    len: usize,
    tickets: u64,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { lines: Vec::new(), len: 0, tickets: 0 }
    }
}

/// What decides between two waiters: risen band, service had, arrival.
type Rank = (usize, u64, u64);

impl<T> Line<T> {
    fn len(&self) -> usize {
        self.bands.iter().map(VecDeque::len).sum()
    }

    fn rank(&self, band: usize, waiter: &Waiter<T>, now: Instant, ageing: Duration) -> Rank {
        let waited = now.saturating_duration_since(waiter.since);
        let risen = waited.as_nanos().checked_div(ageing.as_nanos()).unwrap_or(0);
        let band = band.saturating_sub(usize::try_from(risen).unwrap_or(usize::MAX));
        (band, self.account.counter(), waiter.ticket)
    }

    /// Those of its waiters that `go` in the order they will leave, each with the rank it will have by then and what it is
    /// charged.
    fn outlook(&self, now: Instant, ageing: Duration, go: &mut impl FnMut(&T) -> bool) -> Vec<(Rank, u64)> {
        let ranked = self
            .bands
            .iter()
            .enumerate()
            .flat_map(|(band, waiters)| waiters.iter().map(move |waiter| (band, waiter)));
        let ranked = ranked
            .filter(|(_, waiter)| go(&waiter.payload))
            .map(|(band, waiter)| (self.rank(band, waiter, now, ageing), waiter.cost));
        let mut outlook: Vec<_> = ranked.collect();
        outlook.sort_unstable();
        let mut charged = 0;
        for ((_, counter, _), cost) in &mut outlook {
            *counter += charged;
            charged += *cost;
        }
        outlook
    }
}

impl<T> FairQueue<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn holds(&self, account: &Arc<Account>) -> bool {
        self.line_of(account).is_some()
    }

    pub(super) fn push(
        &mut self,
        account: &Arc<Account>,
        priority: Priority,
        cost: u64,
        now: Instant,
        payload: T,
    ) -> Spot {
        let line = self.line_of(account).unwrap_or_else(|| {
            self.lines.push(Line { account: Arc::clone(account), bands: Default::default() });
            self.lines.len() - 1
        });
        let spot = Spot { band: band(priority), ticket: self.tickets };
        self.tickets += 1;
        self.len += 1;
        account.waits();
        self.lines[line].bands[spot.band].push_back(Waiter {
            ticket: spot.ticket,
            since: now,
            cost,
            payload,
        });
        spot
    }

    /// Takes the next waiter out of those that have leave to go, with that leave.
    pub(super) fn pop<L>(
        &mut self,
        now: Instant,
        ageing: Duration,
        mut leave: impl FnMut(&T) -> Option<L>,
    ) -> Option<(L, Next<T>)> {
        let mut next: Option<(Rank, (usize, usize, usize), L)> = None;
        for (index, line) in self.lines.iter().enumerate() {
            for (band, waiters) in line.bands.iter().enumerate() {
                // The oldest of each band that may go; most often that is the first.
                let mut able = waiters
                    .iter()
                    .enumerate()
                    .filter_map(|(at, waiter)| leave(&waiter.payload).map(|leave| (at, waiter, leave)));
                let Some((at, waiter, leave)) = able.next() else { continue };
                let rank = line.rank(band, waiter, now, ageing);
                if next.as_ref().is_none_or(|(best, _, _)| rank < *best) {
                    next = Some((rank, (index, band, at), leave));
                }
            }
        }
        let (_, (line, band, at), leave) = next?;
        Some((leave, self.take(line, band, at)))
    }

    /// Takes the waiter at `spot` out, if it is still there.
    pub(super) fn remove(&mut self, account: &Arc<Account>, spot: Spot) -> Option<Next<T>> {
        let line = self.line_of(account)?;
        let at = self.lines[line].bands[spot.band].binary_search_by_key(&spot.ticket, |w| w.ticket).ok()?;
        Some(self.take(line, spot.band, at))
    }

    /// Makes room for a newcomer: takes out the newest waiter of the client that holds the most places, if that is
    /// more than `share` and the newcomer holds fewer than that.
    pub(super) fn give_way(&mut self, newcomer: &Arc<Account>, share: usize) -> Option<T> {
        if self.line_of(newcomer).is_some_and(|line| self.lines[line].len() >= share) {
            return None;
        }
        let (line, places) =
            self.lines.iter().map(Line::len).enumerate().max_by_key(|&(_, places)| places)?;
        if places <= share {
            return None;
        }
        let newest = |band: &usize| self.lines[line].bands[*band].back().map(|waiter| waiter.ticket);
        let band = (0..BANDS).max_by_key(newest)?;
        let last = self.lines[line].bands[band].len() - 1;
        Some(self.take(line, band, last).payload)
    }

    /// How many go before the waiter at `spot`, itself included, if nobody came or went and prompts were all that is
    /// charged.
    pub(super) fn position(
        &self,
        account: &Arc<Account>,
        spot: Spot,
        now: Instant,
        ageing: Duration,
    ) -> Option<usize> {
        let mut all = |_: &T| true;
        let outlook = self.lines[self.line_of(account)?].outlook(now, ageing, &mut all);
        let (own, _) = outlook.into_iter().find(|&((_, _, ticket), _)| ticket == spot.ticket)?;
        Some(self.up_to(own, now, ageing, &mut all))
    }

    /// How many of those that `go` would do so before one that came now, on the same terms.
    pub(super) fn ahead_of(
        &self,
        account: &Arc<Account>,
        priority: Priority,
        now: Instant,
        ageing: Duration,
        mut go: impl FnMut(&T) -> bool,
    ) -> usize {
        let band = band(priority);
        let after_its_others = |line: usize| {
            let outlook = self.lines[line].outlook(now, ageing, &mut go).into_iter();
            let ((_, counter, _), cost) = outlook.rev().find(|&((risen, _, _), _)| risen <= band)?;
            Some(counter + cost)
        };
        let counter = self.line_of(account).and_then(after_its_others).unwrap_or_else(|| account.counter());
        self.up_to((band, counter, u64::MAX), now, ageing, &mut go)
    }

    fn up_to(&self, rank: Rank, now: Instant, ageing: Duration, go: &mut impl FnMut(&T) -> bool) -> usize {
        let outlooks = self.lines.iter().flat_map(|line| line.outlook(now, ageing, go));
        outlooks.filter(|&(other, _)| other <= rank).count()
    }

    fn line_of(&self, account: &Arc<Account>) -> Option<usize> {
        self.lines.iter().position(|line| Arc::ptr_eq(&line.account, account))
    }

    fn take(&mut self, line: usize, band: usize, at: usize) -> Next<T> {
        let account = Arc::clone(&self.lines[line].account);
        let waiter =
            self.lines[line].bands[band].remove(at).expect("callers name a waiter they have just seen");
        account.waits_no_more();
        self.len -= 1;
        if self.lines[line].len() == 0 {
            self.lines.swap_remove(line);
        }
        Next { account, cost: waiter.cost, payload: waiter.payload }
    }
}

#[cfg(test)]
mod tests;

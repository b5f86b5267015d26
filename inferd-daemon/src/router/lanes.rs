//! The lanes as a set: looked at as a whole, replaced as a whole.
//!
//! A need enters and a use of the best lane leaves, or why there is none. What becomes of the use is not known here.
//!
//! Invariants:
//! - A look is one moment: nobody sees half of a change, and no lock is held after it.
//! - A lane that is at its limit, shut or tried already takes nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use inferd_engine::Backend;
use tokio::time::{Instant, sleep_until};

use super::RouteError;
use super::lane::{Lane, LaneConfig, Use};
use crate::queue::{Bell, Need, Room, Work};

/// When to ask again while the only lane is being probed: nobody knows how long that takes.
const PROBE_PATIENCE: Duration = Duration::from_secs(1);

pub(super) type Set = Arc<[Arc<Lane>]>;

/// See the module.
pub(super) struct Lanes {
    /// Ordered by priority.
    set: RwLock<Set>,
    /// A lane that is there for a while, beside those that are configured; it is in the set too.
    guest: Mutex<Option<Guest>>,
    /// Whether any lane takes no slot.
    slotless: AtomicBool,
    bell: Arc<Bell>,
}

/// What a lane is made of.
pub(super) type Guest = (Arc<dyn Backend>, LaneConfig);

impl Lanes {
    pub(super) fn new() -> Self {
        Self {
            set: RwLock::new(Arc::new([])),
            guest: Mutex::default(),
            slotless: AtomicBool::new(false),
            bell: Arc::default(),
        }
    }

    /// Replaces the set, but for the guest. A lane of the same name and the same backend stays what it is under its new
    /// configuration.
    pub(super) fn replace(&self, mut lanes: Vec<Guest>) {
        // Held to the end: whoever replaces the set does so alone.
        let guest = self.guest.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.extend(guest.clone());
        self.put(lanes);
    }

    /// Has this lane beside the others from here on, or none.
    pub(super) fn have(&self, guest: Option<Guest>) {
        let mut place = self.guest.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *place, guest.clone());
        let lanes = self.now();
        let is_guest = |lane: &Lane| before.as_ref().is_some_and(|(backend, _)| lane.is_of(backend));
        let others = lanes.iter().filter(|lane| !is_guest(lane)).map(|lane| lane.parts());
        self.put(others.chain(guest).collect());
    }

    fn put(&self, lanes: Vec<Guest>) {
        let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
        let lane = |(backend, config): (Arc<dyn Backend>, LaneConfig)| {
            let before = set.iter().find(|lane| lane.is_of(&backend));
            Arc::new(match before {
                Some(before) => before.reconfigured(config),
                None => Lane::new(backend, config, Arc::clone(&self.bell)),
            })
        };
        let mut lanes: Vec<_> = lanes.into_iter().map(lane).collect();
        lanes.sort_by_key(|lane| lane.priority());
        let limited = lanes.iter().any(|lane| lane.is_limited());
        self.slotless.store(lanes.iter().any(|lane| lane.is_of_peers()), Ordering::Release);
        let replaced = std::mem::replace(&mut *set, lanes.into());
        drop(set);
        // What is let go of with the last of its lanes is let go of without the lock.
        drop(replaced);
        self.bell.change(limited);
    }

    /// The set as it is now.
    pub(super) fn now(&self) -> Set {
        Arc::clone(&self.read())
    }

    pub(super) fn len(&self) -> usize {
        self.read().len()
    }

    fn read(&self) -> RwLockReadGuard<'_, Set> {
        // Whoever writes replaces the whole at once: there is nothing half done to be found.
        self.set.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is a lane beside `using` and those in `tried`.
    pub(super) fn has_other(&self, tried: &[Arc<Lane>], using: &Lane) -> bool {
        let another = |lane: &Arc<Lane>| !lane.is(using) && is_untried(lane, tried) && !lane.is_deserted();
        self.read().iter().any(another)
    }

    /// A lane that passes and has room for `need`, other than `busy` and those in `tried`. Does not wait, and does not probe.
    pub(super) fn spare(
        &self,
        need: Need<'_>,
        tried: &[Arc<Lane>],
        busy: &Lane,
        now: Instant,
    ) -> Option<Use> {
        let lanes = self.read();
        let could = |lane: &&Arc<Lane>| {
            lane.serves(need)
                && !lane.is(busy)
                && is_untried(lane, tried)
                && lane.is_passing()
                && lane.has_room()
                && lane.backend().ready()
        };
        less_loaded(lanes.iter().filter(could))?.admit(now)
    }

    /// The best lane for `need` that is not in `tried`. Waits for one that is at its limit. Large: whoever seldom needs it
    /// keeps it in a box.
    pub(super) async fn pick(&self, need: Need<'_>, tried: &[Arc<Lane>]) -> Result<Use, RouteError> {
        loop {
            // From here on no lane is left unnoticed between the look and the wait.
            let rung = self.bell.rung();
            let now = Instant::now();
            if let Some(used) = self.look(need, tried, now)? {
                return Ok(used);
            }
            match self.opens_at(now) {
                Some(opens_at) => tokio::select! {
                    () = rung => {}
                    () = sleep_until(opens_at) => {}
                },
                None => rung.await,
            }
        }
    }

    /// One look at the lanes: first by priority, then the less loaded of two at random. `None`: all that could take the
    /// request are at their limits.
    pub(super) fn look(
        &self,
        need: Need<'_>,
        tried: &[Arc<Lane>],
        now: Instant,
    ) -> Result<Option<Use>, RouteError> {
        let lanes = self.read();
        if let [only] = &**lanes
            && tried.is_empty()
            && only.serves(need)
            && let Some(used) = only.admit(now)
        {
            return Ok(Some(used));
        }
        let serving = || lanes.iter().filter(|lane| lane.serves(need));
        let open = || open(serving).filter(|lane| is_untried(lane, tried) && lane.would_admit(now));
        // A better group that is at its limit is worth a worse one, never a failure.
        while let Some(lane) = less_loaded(fit(open).filter(|lane| lane.has_room())) {
            if let Some(used) = lane.admit(now) {
                return Ok(Some(used));
            }
            // Another request took the last room or the probe meanwhile: look again.
        }
        if open().next().is_some() {
            return Ok(None);
        }
        if serving().next().is_some() {
            let rests = serving().filter_map(|lane| lane.rests_for(now)).min();
            return Err(RouteError::Shut { retry_after: rests.unwrap_or(PROBE_PATIENCE) });
        }
        Err(match need.work {
            Work::Embed if !lanes.iter().any(|lane| lane.does(need.work)) => RouteError::NoEmbeddings,
            _ => RouteError::ModelNotFound(need.model.unwrap_or_default().to_owned()),
        })
    }
}

impl Room for Lanes {
    fn seats(&self, need: Need<'_>, now: Instant) -> usize {
        let lanes = self.read();
        let open =
            || open(|| lanes.iter().filter(|lane| lane.serves(need))).filter(|lane| lane.would_admit(now));
        if open().next().is_none() {
            // It has nothing to wait for but to be told so.
            return usize::MAX;
        }
        fit(open).fold(0, |seats, lane| seats.saturating_add(lane.seats()))
    }

    fn needs_slot(&self, need: Need<'_>) -> bool {
        if !self.slotless.load(Ordering::Acquire) {
            return true;
        }
        let lanes = self.read();
        let mut serving = lanes.iter().filter(|lane| lane.serves(need)).peekable();
        serving.peek().is_none() || !serving.all(|lane| lane.is_of_peers())
    }

    fn opens_at(&self, now: Instant) -> Option<Instant> {
        self.read().iter().filter_map(|lane| lane.rests_for(now)).min().map(|rest| now + rest)
    }

    fn bell(&self) -> &Bell {
        &self.bell
    }
}

/// Of these lanes those that are not deserted; all, where each is: they say themselves what is the matter.
fn open<'l, I: Iterator<Item = &'l Arc<Lane>>>(lanes: impl Fn() -> I) -> impl Iterator<Item = &'l Arc<Lane>> {
    let any_there = lanes().any(|lane| !lane.is_deserted());
    lanes().filter(move |lane| !any_there || !lane.is_deserted())
}

/// Of these lanes the ready ones; all, where none is.
fn fit<'l, I: Iterator<Item = &'l Arc<Lane>>>(lanes: impl Fn() -> I) -> impl Iterator<Item = &'l Arc<Lane>> {
    let any_ready = lanes().any(|lane| lane.backend().ready());
    lanes().filter(move |lane| !any_ready || lane.backend().ready())
}

/// Of the first priority group among `lanes`: the less loaded of two taken at random.
fn less_loaded<'l>(lanes: impl Iterator<Item = &'l Arc<Lane>>) -> Option<&'l Arc<Lane>> {
    let mut lanes = lanes.peekable();
    let group = lanes.peek()?.priority();
    let mut pair: [Option<&Arc<Lane>>; 2] = [None, None];
    // Reservoir sampling of two.
    for (seen, lane) in lanes.take_while(|lane| lane.priority() == group).enumerate() {
        let at = if seen < 2 { seen } else { fastrand::usize(..=seen) };
        if let Some(place) = pair.get_mut(at) {
            *place = Some(lane);
        }
    }
    match pair {
        [only, None] => only,
        pair => pair.into_iter().flatten().min_by_key(|lane| lane.load()),
    }
}

fn is_untried(lane: &Lane, tried: &[Arc<Lane>]) -> bool {
    !tried.iter().any(|other| lane.is(other))
}

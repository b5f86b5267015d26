//! What a request holds once it is in: a place in the queue, then the permit to run. Dropping either gives it back.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::Refused;
use super::account::Account;
use super::fair::Spot;
use super::gate::Gate;
use super::room::{Room, Seat};

/// A request that got in. Dropped, it leaves.
#[derive(Debug)]
#[must_use]
pub enum Place<'g> {
    /// It runs.
    Ready(Permit<'g>),
    /// It waits.
    Waiting(Waiting<'g>),
}

impl<'g> Place<'g> {
    /// Waits for the turn.
    ///
    /// # Errors
    /// [`Refused::QueueFull`] when the place has to give way to a client that holds fewer.
    pub async fn turn(self) -> Result<Permit<'g>, Refused> {
        match self {
            Self::Ready(permit) => Ok(permit),
            Self::Waiting(mut waiting) => waiting.granted().await,
        }
    }

    /// Waits for the turn and tells `queued` the position (1 is next), at first and whenever it changes.
    ///
    /// # Errors
    /// As [`Place::turn`].
    pub async fn turn_watched(self, mut queued: impl FnMut(u32)) -> Result<Permit<'g>, Refused> {
        let mut waiting = match self {
            Self::Ready(permit) => return Ok(permit),
            Self::Waiting(waiting) => waiting,
        };
        let gate = waiting.gate;
        let mut told = None;
        loop {
            let moved = gate.moved.notified();
            let position = waiting.position();
            if let Some(position) = position.filter(|_| position != told) {
                queued(position);
                told = Some(position);
            }
            tokio::select! {
                biased;
                turn = waiting.granted() => return turn,
                () = moved => {}
            }
        }
    }
}

/// A place in the queue.
pub struct Waiting<'g> {
    pub(super) gate: &'g Arc<Gate>,
    pub(super) account: &'g Arc<Account>,
    pub(super) spot: Spot,
    pub(super) comes: oneshot::Receiver<Result<Slot, Refused>>,
    pub(super) room: Arc<dyn Room>,
}

impl<'g> Waiting<'g> {
    async fn granted(&mut self) -> Result<Permit<'g>, Refused> {
        let slot = if self.room.bell().is_limited() {
            // Out of the way of those who wait for a slot alone: timers are large.
            Box::pin(self.comes_by_and_by()).await
        } else {
            (&mut self.comes).await.expect(NO_PLACE_WITHOUT_A_WORD)
        }?;
        Ok(slot.into_permit(self.gate, self.account))
    }

    /// Waits, and looks after the one thing that frees room without anybody doing it: the passing of time.
    async fn comes_by_and_by(&mut self) -> Result<Slot, Refused> {
        loop {
            let retimed = self.room.bell().retimed();
            let opens_at = self.room.opens_at(Instant::now());
            let opens = async {
                match opens_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                word = &mut self.comes => return word.expect(NO_PLACE_WITHOUT_A_WORD),
                () = opens => self.gate.fill(Instant::now()),
                () = retimed => {}
            }
        }
    }

    fn position(&self) -> Option<u32> {
        let queue = self.gate.lock();
        let position =
            queue.waiting.position(self.account, self.spot, Instant::now(), self.gate.limits.ageing())?;
        u32::try_from(position).ok()
    }
}

impl std::fmt::Debug for Waiting<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("spot", &self.spot).finish_non_exhaustive()
    }
}

/// Who is taken out of the queue is told why.
const NO_PLACE_WITHOUT_A_WORD: &str = "the gate lets no place go without a word";

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut queue = self.gate.lock();
        let left = queue.waiting.remove(self.account, self.spot);
        if left.is_some() {
            self.gate.waits_no_more();
            drop(queue);
            self.gate.moved.notify_waiters();
        }
    }
}

/// A slot on its way to the request it was freed for. One that is not received goes to the next.
#[derive(Debug)]
pub(super) struct Slot {
    gate: Arc<Gate>,
    account: Arc<Account>,
    prompt_cost: u64,
    takes: Takes,
    since: Instant,
    received: bool,
}

/// What one that runs takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Takes {
    /// One of the gate's slots.
    pub(super) slot: bool,
    /// The seat it was promised and has not taken.
    pub(super) seat: Seat,
}

impl Slot {
    pub(super) fn new(
        gate: Arc<Gate>,
        account: Arc<Account>,
        prompt_cost: u64,
        takes: Takes,
        since: Instant,
    ) -> Self {
        account.begin(prompt_cost);
        Self { gate, account, prompt_cost, takes, since, received: false }
    }

    fn into_permit<'g>(mut self, gate: &'g Arc<Gate>, account: &'g Account) -> Permit<'g> {
        self.received = true;
        Permit { gate, account, since: self.since, prompt_cost: self.prompt_cost, takes: self.takes }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.received {
            self.account.end();
            self.takes.give_back(&self.gate, Instant::now());
        }
    }
}

/// The right to run, held to the terminal frame.
#[derive(Debug)]
#[must_use]
pub struct Permit<'g> {
    gate: &'g Arc<Gate>,
    account: &'g Account,
    since: Instant,
    prompt_cost: u64,
    takes: Takes,
}

impl Takes {
    fn give_back(self, gate: &Arc<Gate>, now: Instant) {
        gate.forgo(self.seat);
        if self.slot {
            gate.release(now);
        } else {
            gate.refill(now);
        }
    }
}

/// What a generated token is charged (a prompt token costs 1): Sheng et al., OSDI 2024, section 3.2.
const GENERATED_TOKEN_COST: u64 = 2;

impl<'g> Permit<'g> {
    pub(super) fn new(
        gate: &'g Arc<Gate>,
        account: &'g Account,
        prompt_cost: u64,
        slot: bool,
        since: Instant,
    ) -> Self {
        account.begin(prompt_cost);
        Self { gate, account, since, prompt_cost, takes: Takes { slot, seat: Seat::Unlimited } }
    }

    /// Says that the request has found its place beyond the gate: the room kept for it is its own now.
    pub fn seated(&mut self) {
        let seat = std::mem::replace(&mut self.takes.seat, Seat::Unlimited);
        if seat == Seat::Limited {
            self.gate.forgo(seat);
            // While it was kept it was kept from others, who may have use for other room.
            self.gate.fill(Instant::now());
        }
    }

    /// Charges the client for one token as it streams.
    pub fn charge_token(&self) {
        self.account.charge(GENERATED_TOKEN_COST);
    }

    /// Corrects the charge for the prompt once the engine has counted it.
    pub fn correct_prompt(&mut self, prompt_tokens: u32) {
        if prompt_tokens > 0 {
            self.account.correct(self.prompt_cost, u64::from(prompt_tokens));
            self.prompt_cost = u64::from(prompt_tokens);
        }
    }

    /// When it was given.
    #[must_use]
    pub fn since(&self) -> Instant {
        self.since
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        self.account.end();
        if self.takes.slot {
            // How long people take says nothing of how long a slot is held.
            self.gate.service_time.record(now.saturating_duration_since(self.since));
        }
        self.takes.give_back(self.gate, now);
    }
}

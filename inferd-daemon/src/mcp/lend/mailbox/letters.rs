//! The calls in a mailbox: put in by callers, taken in rounds, given out again to be answered.
//!
//! Time is an argument.
//!
//! Invariants:
//! - A call is given out once, to be answered once; withdrawn, never.
//! - A round holds the oldest calls, at most [`ROUND_CALLS_MAX`] and, beyond the first, [`ROUND_BYTES_MAX`].

use std::collections::BTreeMap;
use std::time::Duration;

use inferd_engine::sampling::{CreateMessageRequestParams, CreateMessageResult, SamplingError, Signs};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The most calls that a lender is asked for together.
pub(crate) const ROUND_CALLS_MAX: usize = 10;

/// The most bytes of them; a call with more goes alone.
const ROUND_BYTES_MAX: usize = 1024 * 1024;

/// The most calls that are in a mailbox, asked for or not.
pub(crate) const CALLS_MAX: usize = 64;

/// How long a first call waits for company.
pub(crate) const GATHER: Duration = Duration::from_millis(20);

pub(super) type Answered = Result<CreateMessageResult, SamplingError>;

/// One call.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) params: CreateMessageRequestParams,
    pub(super) signs: Signs,
    pub(super) answer: oneshot::Sender<Answered>,
    bytes: usize,
    came: Instant,
}

impl Letter {
    /// One that comes now, and where its answer will be.
    pub(super) fn new(
        params: CreateMessageRequestParams,
        signs: Signs,
        now: Instant,
    ) -> (Self, oneshot::Receiver<Answered>) {
        let bytes = serde_json::to_vec(&params).map_or(usize::MAX, |json| json.len());
        let (answer, answered) = oneshot::channel();
        (Self { params, signs, answer, bytes, came: now }, answered)
    }
}

/// See the module. Numbers rise with every call.
#[derive(Debug, Default)]
pub(super) struct Letters {
    next: u64,
    waiting: BTreeMap<u64, Letter>,
    taken: BTreeMap<u64, Letter>,
}

impl Letters {
    /// Puts one in; its number. `None`: there is no room.
    pub(super) fn put(&mut self, letter: Letter) -> Option<u64> {
        if self.waiting.len() + self.taken.len() >= CALLS_MAX {
            return None;
        }
        self.next += 1;
        self.waiting.insert(self.next, letter);
        Some(self.next)
    }

    /// Takes one back, wherever it is.
    pub(super) fn withdraw(&mut self, number: u64) {
        self.waiting.remove(&number);
        self.taken.remove(&number);
    }

    /// When a round can be taken. `None`: nothing waits.
    pub(super) fn due(&self) -> Option<Instant> {
        let oldest = self.waiting.values().next()?;
        Some(if self.waiting.len() >= ROUND_CALLS_MAX { oldest.came } else { oldest.came + GATHER })
    }

    /// Takes a round; nothing where none waits.
    pub(super) fn take(&mut self) -> Vec<(u64, &Letter)> {
        let mut bytes = 0_usize;
        let round: Vec<u64> = self
            .waiting
            .iter()
            .take(ROUND_CALLS_MAX)
            .take_while(|(_, letter)| {
                let first = bytes == 0;
                bytes = bytes.saturating_add(letter.bytes);
                first || bytes <= ROUND_BYTES_MAX
            })
            .map(|(&number, _)| number)
            .collect();
        for number in &round {
            let letter = self.waiting.remove(number).expect("it was there under the same borrow");
            self.taken.insert(*number, letter);
        }
        round.iter().map(|number| (*number, &self.taken[number])).collect()
    }

    /// Gives out what was taken, to be answered.
    pub(super) fn give_out(&mut self) -> BTreeMap<u64, Letter> {
        std::mem::take(&mut self.taken)
    }
}

//! A timer that may ring early and never rings late.
//!
//! To set a timer takes a lock that the whole runtime shares, and a system call where it is the first of all to ring. So
//! one that rings early enough is left as it is, and one that is done with is kept, still set, for the next to need one
//! on the same thread: under load a timer is set when one has rung, not for each generation.
//!
//! Invariant: a timer is used again only within the runtime it belongs to.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::{Handle, Id};
use tokio::time::{Instant, Sleep, sleep_until};

/// The most timers a thread keeps.
const SPARE_MAX: usize = 64;

thread_local! {
    static SPARE: RefCell<Vec<Set>> = const { RefCell::new(Vec::new()) };
}

/// Why a timer that is not dropped is there.
const KEPT: &str = "given away only where it is dropped";

/// A set timer.
struct Set {
    sleep: Pin<Box<Sleep>>,
    runtime: Id,
}

pub(super) struct Timer(Option<Set>);

impl Timer {
    /// One that rings at `deadline` or before.
    pub(super) fn ringing_by(deadline: Instant) -> Self {
        let runtime = Handle::current().id();
        let set = spare(runtime).unwrap_or_else(|| Set { sleep: Box::pin(sleep_until(deadline)), runtime });
        let mut timer = Self(Some(set));
        timer.ring_by(deadline);
        timer
    }

    /// Moves it where it would ring later.
    pub(super) fn ring_by(&mut self, deadline: Instant) {
        if self.deadline() > deadline {
            self.set(deadline);
        }
    }

    /// Sets it anew once it has rung.
    pub(super) fn set(&mut self, deadline: Instant) {
        self.sleep().reset(deadline);
    }

    /// Ready once it has rung.
    pub(super) fn poll_rung(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep().poll(cx)
    }

    /// When it rings.
    pub(super) fn deadline(&self) -> Instant {
        self.0.as_ref().expect(KEPT).sleep.deadline()
    }

    fn sleep(&mut self) -> Pin<&mut Sleep> {
        self.0.as_mut().expect(KEPT).sleep.as_mut()
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let Some(set) = self.0.take() else { return };
        // A thread that ends keeps nothing. What is not kept is dropped outside: it may be the last to hold a task.
        let surplus = SPARE.try_with(|spare| match spare.try_borrow_mut() {
            Ok(mut spare) if spare.len() < SPARE_MAX => {
                spare.push(set);
                None
            }
            _ => Some(set),
        });
        drop(surplus);
    }
}

/// A timer that is kept for `runtime`.
fn spare(runtime: Id) -> Option<Set> {
    loop {
        let set = SPARE.with_borrow_mut(Vec::pop)?;
        if set.runtime == runtime {
            return Some(set);
        }
    }
}

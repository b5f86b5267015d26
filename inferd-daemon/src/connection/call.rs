//! A call: one open request of a connection.
//!
//! The connection keeps a handle on it, to cancel it and to say how far it is; the call itself is a future that races
//! the answer against being cancelled.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::Poll;

use futures_util::task::AtomicWaker;
use inferd_proto::Resolved;
use tokio::time::Instant;

use super::dispatch::Desk;
use super::wire::Frames;
use crate::answer::answer;
use crate::audit::{Asked, Entry, Outcome, Witness};

/// The connection's handle on a call.
#[derive(Debug)]
pub(super) struct Call {
    id: String,
    stage: AtomicU8,
    cancelled: AtomicBool,
    waker: AtomicWaker,
}

/// How far a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Stage {
    /// It waits for its turn.
    Queued = 0,
    /// A lane has it, and has said nothing since it was last looked at.
    Running = 1,
    /// A lane has it, and has said something.
    Speaking = 2,
}

impl Call {
    pub(super) fn new(id: String) -> Arc<Self> {
        Arc::new(Self {
            id,
            stage: AtomicU8::new(Stage::Queued as u8),
            cancelled: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Queued,
            1 => Stage::Running,
            _ => Stage::Speaking,
        }
    }

    pub(super) fn set_stage(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    /// Ends the call with what it has said so far.
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(super) async fn cancelled(&self) {
        poll_fn(|cx| {
            if self.cancelled.load(Ordering::Acquire) {
                return Poll::Ready(());
            }
            self.waker.register(cx.waker());
            if self.cancelled.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Runs a call to its terminal frame.
pub(super) async fn run(
    call: Arc<Call>,
    desk: Arc<Desk>,
    request: Box<Resolved>,
    received: Instant,
    mut frames: Frames,
) -> Arc<Call> {
    let Desk { service, client, caller, .. } = &*desk;
    let mut entry = Entry::open(service, caller, received, || Asked::from(&*request));
    let mut witness = Witness { entry: &mut entry, replies: &mut frames };
    let outcome = tokio::select! {
        biased;
        outcome = answer(&service.gate, &service.router, client, request, received, &mut witness) => Some(outcome),
        () = call.cancelled() => None,
    };
    match outcome {
        Some(Ok(())) => tracing::debug!(id = call.id, "request done"),
        Some(Err(error)) => {
            tracing::debug!(id = call.id, %error, "request failed");
            entry.ended(Outcome::from(&error));
            frames.error(&error);
        }
        None => {
            tracing::debug!(id = call.id, "request cancelled");
            entry.ended(Outcome::CANCELLED);
            frames.cancelled();
        }
    }
    call
}

//! A call that is an agent turn: its events as frames, to one terminal frame.
//!
//! Invariants:
//! - Of what the model says in its steps, `done` holds the last.
//! - A tool that says often how far it is costs a client that does not read nothing: such news are left out.

use std::sync::Arc;

use inferd_proto::{Ending, Progress, Resolved};
use tokio::time::Instant;

use super::call::Call;
use super::dispatch::Desk;
use super::wire::{About, Frames, refuse};
use crate::agent::{self, Asker, Event};
use crate::audit::{Asked, Entry, Kind, Outcome, Witness};

/// Runs a call to its terminal frame.
pub(super) async fn run(
    call: Arc<Call>,
    desk: Arc<Desk>,
    request: Box<Resolved>,
    received: Instant,
    mut frames: Frames,
) -> Arc<Call> {
    let Desk { service, client, caller, .. } = &*desk;
    let asked = || Asked { kind: Kind::Agent, ..Asked::from(&*request) };
    let mut entry = Entry::open(service, caller, received, asked);
    let named_model = request.model.is_some();
    let mut witness = Witness { entry: &mut entry, replies: &mut frames };
    let asker = Asker { client, owner: &caller.owner };
    let outcome = tokio::select! {
        biased;
        outcome = agent::run(service, asker, request, received, &mut witness) => Some(outcome),
        () = call.cancelled() => None,
    };
    match outcome {
        Some(Ok(())) => tracing::debug!(id = call.id(), "agent turn done"),
        Some(Err(error)) => {
            tracing::debug!(id = call.id(), %error, "agent turn failed");
            entry.ended(Outcome::from(&error));
            refuse(&desk, call.id(), error.said(named_model), &error);
        }
        None => {
            tracing::debug!(id = call.id(), "agent turn cancelled");
            entry.ended(Outcome::CANCELLED);
            frames.cancelled();
        }
    }
    call
}

impl agent::Replies for Frames {
    fn tell(&mut self, event: Event<'_>) {
        match event {
            Event::Begins => self.begin_anew(),
            Event::Queued { step, position } => {
                self.status("queued", About { position: Some(position), ..About::step(step) });
            }
            Event::Running { step, lane } => self.runs_on(lane, "running", About::step(step)),
            Event::Retrying { step, lane } => self.runs_on(lane, "retrying", About::step(step)),
            Event::Token(text) => self.says(&text),
            Event::Thinking(text) => self.thinks(&text),
            Event::Calling { step, tool } => {
                self.status("calling", About { tool: Some(tool), ..About::step(step) });
            }
            Event::Progress { step, tool, report } => {
                if self.has_room() {
                    let progress =
                        Progress { done: report.progress, total: report.total, message: report.message };
                    let about = About { tool: Some(tool), progress: Some(progress), ..About::step(step) };
                    self.status("calling", about);
                }
            }
            Event::Called { step, tool, is_error } => {
                let status = if is_error { "failed" } else { "called" };
                self.status(status, About { tool: Some(tool), ..About::step(step) });
            }
            Event::Done(done) => self.done(&Ending {
                stop_reason: done.stop_reason,
                usage: done.usage,
                backend: done.lane,
                tool_calls: &[],
                model: done.model.as_deref(),
                timings: Some(done.clock.timings()),
                thread: Some(done.thread),
                steps: Some(done.steps),
            }),
        }
    }

    fn room(&self) -> impl Future<Output = ()> + Send {
        self.reader_has_room()
    }
}

//! Events of an answer as frames of the wire.

use std::sync::Arc;
use std::time::Duration;

use inferd_proto::{Answer, Ending, Resolved, Response, StopReason, Usage};

use super::call::{Call, Stage};
use super::dispatch::Desk;
use crate::answer::{AnswerError, Event, Replies, Said};

/// Where the frames of one call go, and in which dialect.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a wish of the request of its own")]
pub(super) struct Frames {
    call: Arc<Call>,
    desk: Arc<Desk>,
    answer: Answer,
    /// Additive fields may be used.
    additive: bool,
    stream: bool,
    progress: bool,
    named_model: bool,
    /// The lane that has the request; empty before.
    lane: String,
    tokens: u32,
}

impl Frames {
    pub(super) fn new(call: Arc<Call>, desk: Arc<Desk>, request: &Resolved, hello: bool) -> Self {
        Self {
            answer: Answer::new(call.id()),
            call,
            desk,
            additive: hello || request.additive,
            stream: request.stream,
            progress: request.progress,
            named_model: request.model.is_some(),
            lane: String::new(),
            tokens: 0,
        }
    }

    fn status(&self, status: &str, position: Option<u32>) {
        if self.progress {
            self.desk.outbox.put(|out| {
                Answer::frame(
                    out,
                    &Response::Status {
                        id: self.call.id().to_owned(),
                        status: status.to_owned(),
                        position,
                        backend: Some(self.lane.clone()).filter(|lane| !lane.is_empty()),
                        step: None,
                        tool: None,
                        progress: None,
                    },
                );
            });
        }
    }

    /// The terminal frame of a call that was cancelled: what it said so far.
    pub(super) fn cancelled(&self) {
        let ending = Ending {
            stop_reason: StopReason::Cancelled,
            usage: Usage { prompt_tokens: 0, completion_tokens: self.tokens },
            backend: &self.lane,
            tool_calls: &[],
            model: None,
            timings: None,
            thread: None,
            steps: None,
        };
        self.desk.outbox.put(|out| self.answer.done(out, &ending));
    }

    /// The terminal frame of a call that failed.
    pub(super) fn error(&self, error: &AnswerError) {
        refuse(&self.desk, self.call.id(), error, self.named_model);
    }
}

/// The terminal frame of a call that failed with `error`; an error of the model is told only to who named one.
pub(super) fn refuse(desk: &Desk, id: &str, error: &AnswerError, named_model: bool) {
    let Said { code, retry_after, queue } = error.said(named_model);
    desk.outbox.put(|out| {
        Answer::error(out, id, code, &error.to_string(), retry_after.map(millis), queue);
    });
}

impl Replies for Frames {
    fn tell(&mut self, event: Event<'_>) {
        match event {
            Event::Queued(position) => self.status("queued", Some(position)),
            Event::Running(lane) => {
                self.call.set_stage(Stage::Running);
                lane.clone_into(&mut self.lane);
                self.status("running", None);
            }
            Event::Retrying(lane) => {
                lane.clone_into(&mut self.lane);
                self.status("retrying", None);
            }
            Event::Token(text) => {
                self.tokens = self.tokens.saturating_add(1);
                if self.stream {
                    self.speak(|answer, out| answer.token(out, &text));
                } else {
                    self.answer.hold(&text);
                }
            }
            Event::Thinking(text) => {
                self.tokens = self.tokens.saturating_add(1);
                // A v1 reader would take reasoning for the answer.
                if self.stream && self.additive {
                    self.speak(|answer, out| answer.thinking(out, &text));
                }
            }
            Event::Done(done) => {
                // Who offered no tools can do nothing with a call, and a v1 reader knows no such reason.
                let (stop_reason, tool_calls) = match done.stop_reason {
                    StopReason::ToolCalls if !self.additive => (StopReason::End, &[][..]),
                    stop_reason => (stop_reason, &*done.tool_calls),
                };
                let ending = Ending {
                    stop_reason,
                    usage: done.usage,
                    backend: done.lane,
                    tool_calls,
                    model: done.model.as_deref().filter(|_| self.additive),
                    timings: self.additive.then(|| done.clock.timings()),
                    thread: None,
                    steps: None,
                };
                self.desk.outbox.put(|out| self.answer.done(out, &ending));
            }
        }
    }

    fn room(&self) -> impl Future<Output = ()> + Send {
        self.desk.outbox.room()
    }
}

impl Frames {
    fn speak(&mut self, write: impl FnOnce(&mut Answer, &mut Vec<u8>)) {
        self.call.set_stage(Stage::Speaking);
        let answer = &mut self.answer;
        self.desk.outbox.put(|out| write(answer, out));
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

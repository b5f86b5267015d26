//! Events of an answer as frames of the wire.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use inferd_proto::{Answer, Ending, ErrorCode, Progress, Resolved, Response, StopReason, Usage};
use serde::Serialize;

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

    /// Says where the call stands, to who wants to know.
    pub(super) fn status(&self, status: &str, about: About<'_>) {
        if self.progress {
            put_status(&self.desk, self.call.id(), status, &self.lane, about);
        }
    }

    /// This lane has the call.
    pub(super) fn runs_on(&mut self, lane: &str, status: &str, about: About<'_>) {
        self.call.set_stage(Stage::Running);
        lane.clone_into(&mut self.lane);
        self.status(status, about);
    }

    /// The next piece of the answer.
    pub(super) fn says(&mut self, text: &str) {
        self.tokens = self.tokens.saturating_add(1);
        if self.stream {
            self.speak(|answer, out| answer.token(out, text));
        } else {
            self.answer.hold(text);
        }
    }

    /// The next piece of the reasoning.
    pub(super) fn thinks(&mut self, text: &str) {
        self.tokens = self.tokens.saturating_add(1);
        // A v1 reader would take reasoning for the answer.
        if self.stream && self.additive {
            self.speak(|answer, out| answer.thinking(out, text));
        }
    }

    /// What was said so far was on the way to the answer.
    pub(super) fn begin_anew(&mut self) {
        self.answer.begin_anew();
    }

    /// The terminal frame of a call that was answered.
    pub(super) fn done(&self, ending: &Ending<'_>) {
        self.desk.outbox.put(|out| self.answer.done(out, ending));
    }

    /// Whether what is only nice to know may be said.
    pub(super) fn has_room(&self) -> bool {
        self.desk.outbox.has_room()
    }

    /// Waits while the client does not read.
    pub(super) fn reader_has_room(&self) -> impl Future<Output = ()> + Send {
        self.desk.outbox.room()
    }

    /// The terminal frame of a call that was cancelled: what it said so far.
    pub(super) fn cancelled(&self) {
        self.done(&ending_cancelled(self.tokens, &self.lane));
    }

    /// The terminal frame of a call that failed.
    pub(super) fn error(&self, error: &AnswerError) {
        refuse(&self.desk, self.call.id(), error.said(self.named_model), error);
    }

    fn speak(&mut self, write: impl FnOnce(&mut Answer, &mut Vec<u8>)) {
        self.call.set_stage(Stage::Speaking);
        let answer = &mut self.answer;
        self.desk.outbox.put(|out| write(answer, out));
    }
}

impl Replies for Frames {
    fn tell(&mut self, event: Event<'_>) {
        match event {
            Event::Queued(position) => {
                self.status("queued", About { position: Some(position), ..About::default() });
            }
            Event::Running(lane) => self.runs_on(lane, "running", About::default()),
            Event::Retrying(lane) => self.runs_on(lane, "retrying", About::default()),
            Event::Token(text) => self.says(&text),
            Event::Thinking(text) => self.thinks(&text),
            Event::Done(done) => {
                // Who offered no tools can do nothing with a call, and a v1 reader knows no such reason.
                let (stop_reason, tool_calls) = match done.stop_reason {
                    StopReason::ToolCalls if !self.additive => (StopReason::End, &[][..]),
                    stop_reason => (stop_reason, &*done.tool_calls),
                };
                self.done(&Ending {
                    stop_reason,
                    usage: done.usage,
                    backend: done.lane,
                    tool_calls,
                    model: done.model.as_deref().filter(|_| self.additive),
                    timings: self.additive.then(|| done.clock.timings()),
                    thread: None,
                    steps: None,
                });
            }
        }
    }

    fn room(&self) -> impl Future<Output = ()> + Send {
        self.reader_has_room()
    }
}

/// What a `status` frame says beside its word.
#[derive(Debug, Default)]
pub(super) struct About<'a> {
    pub(super) position: Option<u32>,
    pub(super) step: Option<u32>,
    pub(super) tool: Option<&'a str>,
    pub(super) progress: Option<Progress>,
}

impl About<'_> {
    pub(super) fn step(step: u32) -> Self {
        Self { step: Some(step), ..Self::default() }
    }
}

/// Says where the call `id` stands; `lane` has it, or is empty.
pub(super) fn put_status(desk: &Desk, id: &str, status: &str, lane: &str, about: About<'_>) {
    let About { position, step, tool, progress } = about;
    let frame = Response::Status {
        id: id.to_owned(),
        status: status.to_owned(),
        position,
        // A tool runs on no lane.
        backend: Some(lane).filter(|lane| !lane.is_empty() && tool.is_none()).map(str::to_owned),
        step,
        tool: tool.map(str::to_owned),
        progress,
    };
    desk.outbox.put(|out| Answer::frame(out, &frame));
}

/// The terminal frame of a call that ended with `error`.
pub(super) fn refuse(desk: &Desk, id: &str, said: Said, error: &impl Display) {
    let Said { code, retry_after, queue } = said;
    desk.outbox.put(|out| {
        Answer::error(out, id, code, &error.to_string(), retry_after.map(millis), queue);
    });
}

/// The terminal frame of a call that was cancelled before it said anything.
pub(super) fn cancelled(desk: &Desk, id: &str) {
    desk.outbox.put(|out| Answer::new(id).done(out, &ending_cancelled(0, "")));
}

fn ending_cancelled(tokens: u32, lane: &str) -> Ending<'_> {
    Ending {
        stop_reason: StopReason::Cancelled,
        usage: Usage { prompt_tokens: 0, completion_tokens: tokens },
        backend: lane,
        tool_calls: &[],
        model: None,
        timings: None,
        thread: None,
        steps: None,
    }
}

/// The one frame that answers the call `id`; where it is too long to be read, an error that says so with `too_long`, given
/// the longest there may be.
pub(super) fn put_whole<T: Serialize>(
    desk: &Desk,
    id: &str,
    frame: &T,
    too_long: impl FnOnce(usize) -> String,
) {
    let max = desk.service.limits.frame_bytes_max;
    desk.outbox.put(|out| {
        let before = out.len();
        serde_json::to_writer(&mut *out, frame).expect("plain data is JSON, and a Vec takes every byte");
        out.push(b'\n');
        if out.len() - before > max {
            out.truncate(before);
            Answer::error(out, id, ErrorCode::InvalidRequest, &too_long(max), None, None);
        }
    });
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

//! One request and the frames that answer it, on one connection.
//!
//! Invariants:
//! - A frame of another request ends the exchange: the connection is out of step.
//! - The connection is kept for another request only after a terminal frame with nothing behind it.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use inferd_proto::ErrorCode;

use super::frame::{Frame, Kind};
use super::link::{Broken, Link};
use super::refusal::refusal;
use crate::GenerateError;
use crate::http::Redactor;
use crate::idle::Idle;

/// A request as it is sent.
pub(super) struct Asked {
    pub(super) id: String,
    /// With its newline.
    pub(super) line: Bytes,
    /// The model it names.
    pub(super) model: Option<String>,
    /// Whether it is a hello, which then needs none before it.
    pub(super) is_hello: bool,
}

/// What one kind of request makes of the frames that answer it.
pub(super) trait Talk {
    type Said;

    /// Takes a frame that is neither `status` nor `error`; `line` is all of it.
    fn hear(&mut self, frame: Frame<'_>, line: &[u8]) -> Result<Heard<Self::Said>, Broken>;
}

/// What a frame says.
pub(super) enum Heard<T> {
    /// That the other daemon is there.
    Life,
    /// Something, and more is to come.
    More(T),
    /// The last thing there is.
    Last(Result<T, GenerateError>),
}

/// What is known of the answer to one request.
pub(super) struct Answer<T> {
    id: String,
    model: Option<String>,
    /// A hello was sent before it, and neither answered nor refused.
    hello_due: bool,
    talk: T,
    redactor: Arc<Redactor>,
}

impl<T: Talk> Answer<T> {
    pub(super) fn new(asked: &Asked, greets: bool, talk: T, redactor: &Arc<Redactor>) -> Self {
        Self {
            id: asked.id.clone(),
            model: asked.model.clone(),
            hello_due: greets,
            talk,
            redactor: Arc::clone(redactor),
        }
    }

    fn hear(&mut self, line: &[u8]) -> Result<Heard<T::Said>, Broken> {
        let frame = Frame::read(line)?;
        match frame.kind() {
            Kind::Hello if self.hello_due => {
                self.hello_due = false;
                Ok(Heard::Life)
            }
            // From a daemon too old to know it.
            Kind::Error
                if self.hello_due
                    && frame.id.is_empty()
                    && frame.code() == Some(ErrorCode::InvalidRequest) =>
            {
                self.hello_due = false;
                Ok(Heard::Life)
            }
            // One without an id is of a line that could not be read: no other than ours was sent.
            Kind::Error if frame.id.is_empty() || frame.id == self.id => {
                Ok(Heard::Last(Err(refusal(&frame, self.model.as_deref(), &self.redactor))))
            }
            Kind::Token | Kind::Done | Kind::Error | Kind::Status | Kind::Embeddings
                if frame.id != self.id =>
            {
                Err(Broken::Garbled("a frame of another request came".to_owned()))
            }
            Kind::Status | Kind::Unknown => Ok(Heard::Life),
            Kind::Token | Kind::Done | Kind::Error | Kind::Hello | Kind::Embeddings | Kind::Untyped => {
                self.talk.hear(frame, line)
            }
        }
    }
}

/// An answer under way.
pub(super) struct Exchange<T> {
    /// Gone after the last frame.
    link: Option<Link>,
    idle: Arc<Idle<Link>>,
    answer: Answer<T>,
}

impl<T: Talk> Exchange<T> {
    /// What comes over `link` is `answer`.
    pub(super) fn new(link: Link, idle: &Arc<Idle<Link>>, answer: Answer<T>) -> Self {
        Self { link: Some(link), idle: Arc::clone(idle), answer }
    }

    /// The first thing that is said.
    pub(super) async fn first(&mut self) -> Result<Result<T::Said, GenerateError>, Broken> {
        loop {
            match poll_fn(|cx| self.poll_heard(cx)).await? {
                Heard::More(said) => return Ok(Ok(said)),
                Heard::Last(last) => return Ok(last),
                Heard::Life => {}
            }
        }
    }

    /// What the next frame says.
    pub(super) fn poll_heard(&mut self, cx: &mut Context<'_>) -> Poll<Result<Heard<T::Said>, Broken>> {
        let Self { link: linked, idle, answer } = self;
        let Some(link) = linked else { return Poll::Ready(Err(Broken::Closed)) };
        let heard = match ready!(link.poll_line(cx, |line| answer.hear(line)))? {
            // It closed in the middle of a line.
            Err(_) if link.is_ended() => Err(Broken::Closed),
            Err(Broken::Garbled(why)) => Err(Broken::Garbled(answer.redactor.shown(&why))),
            heard => heard,
        };
        if let Ok(Heard::Last(_)) = &heard
            && let Some(link) = linked.take()
            && link.is_done_with()
            && !answer.hello_due
        {
            idle.put(link);
        }
        Poll::Ready(heard)
    }

    /// What makes sense of the answer.
    pub(super) fn talk(&mut self) -> &mut T {
        &mut self.answer.talk
    }

    /// Whether the other daemon has not answered one byte.
    pub(super) fn is_silent(&self) -> bool {
        self.link.as_ref().is_some_and(Link::is_silent)
    }

    /// Whether nothing follows.
    pub(super) fn is_over(&self) -> bool {
        self.link.is_none()
    }

    /// Closes the connection, if it is still in use.
    pub(super) fn hang_up(&mut self) {
        self.link = None;
    }
}

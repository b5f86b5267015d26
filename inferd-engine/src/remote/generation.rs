//! One generation: bytes of a body become [`TokenEvent`]s, in the task of whoever reads them.
//!
//! Invariants:
//! - One event is made at a time, when it is asked for: a slow reader slows the server.
//! - `Done` or `Failed` comes once, and nothing after it.
//! - Until then dropping the stream closes the connection; after `Done` it is kept for another request.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use serde::de::IgnoredAny;

use super::{Form, Outcome};
use crate::clock::Clock;
use crate::http::{Body, Event, Redactor};
use crate::{GenerateError, TokenEvent};

/// What the pieces of an answer mean in one protocol. A piece is the data of an event, a line, or all of an answer.
pub(crate) trait Dialect: Send + Unpin + 'static {
    /// What did not come where an answer was cut short, for people: `no finish_reason`.
    const NO_END: &'static str;

    /// Takes a piece.
    fn hear(&mut self, piece: &[u8], redactor: &Redactor) -> Result<Heard, GenerateError>;

    /// What the answer has come to so far.
    fn outcome(&self) -> &Outcome;

    /// The last event; asked for once, after the end mark.
    fn done(&mut self) -> TokenEvent;
}

/// What one piece says: reasoning comes before the answer.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) thinking: Option<String>,
    pub(crate) token: Option<String>,
}

impl Said {
    pub(crate) fn new(thinking: Option<Cow<'_, str>>, token: Option<Cow<'_, str>>) -> Self {
        Self { thinking: thinking.map(Cow::into_owned), token: token.map(Cow::into_owned) }
    }

    fn next(&mut self) -> Option<TokenEvent> {
        let thinking = self.thinking.take().map(TokenEvent::Thinking);
        thinking.or_else(|| self.token.take().map(TokenEvent::Token))
    }
}

/// What a piece says, and whether nothing that matters follows it.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) said: Said,
    pub(crate) last: bool,
}

/// The generation.
pub(crate) struct Generation<D> {
    /// Gone after the last event.
    body: Option<Body>,
    form: Form,
    clock: Clock,
    redactor: Arc<Redactor>,
    dialect: D,
    /// What the last piece said and nobody has heard yet.
    said: Said,
    /// Nothing but the end is left to say.
    complete: bool,
}

impl<D: Dialect> Generation<D> {
    pub(crate) fn new(body: Body, form: Form, clock: Clock, redactor: Arc<Redactor>, dialect: D) -> Self {
        Self { body: Some(body), form, clock, redactor, dialect, said: Said::default(), complete: false }
    }

    /// The next event, or `None` after the last.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<TokenEvent>, GenerateError>> {
        loop {
            if let Some(event) = self.said.next() {
                self.clock.token();
                return Poll::Ready(Ok(Some(event)));
            }
            let Some(body) = &mut self.body else { return Poll::Ready(Ok(None)) };
            if self.complete {
                if let Some(body) = self.body.take() {
                    body.finish();
                }
                return Poll::Ready(Ok(Some(self.dialect.done())));
            }
            if let Some(event) = self.form.next()? {
                self.clock.sign_of_life();
                if let Event::Data(piece) = event {
                    let heard = self.dialect.hear(piece, &self.redactor)?;
                    (self.said, self.complete) = (heard.said, heard.last);
                }
                continue;
            }
            match body.poll_chunk(cx) {
                Poll::Ready(Some(Ok(chunk))) => self.form.push(chunk)?,
                // The answer is whole: how the connection ended says nothing about it.
                Poll::Ready(Some(Err(_))) if self.dialect.outcome().is_finished() => self.complete = true,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(cut_short(&error.to_string()))),
                Poll::Ready(None) => self.end()?,
                Poll::Pending => return Poll::Ready(Err(ready!(self.clock.poll_late(cx)))),
            }
        }
    }

    /// The body is at its end: is the answer?
    fn end(&mut self) -> Result<(), GenerateError> {
        let whole = matches!(self.form, Form::Whole(_));
        let heard = match self.form.end() {
            None => Heard::default(),
            Some(piece) => match self.dialect.hear(piece, &self.redactor) {
                // A last piece that lacks its end may have been cut off.
                Err(_) if !whole && !is_json(piece) => Heard::default(),
                heard => heard?,
            },
        };
        self.said = heard.said;
        if whole && !self.dialect.outcome().is_begun() {
            return Err(GenerateError::Unavailable("the answer holds no completion".to_owned()));
        }
        if !whole && !heard.last && !self.dialect.outcome().is_finished() {
            return Err(cut_short(&format!("{} came", D::NO_END)));
        }
        self.complete = true;
        Ok(())
    }
}

fn is_json(piece: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(piece).is_ok()
}

fn cut_short(why: &str) -> GenerateError {
    GenerateError::Unavailable(format!("the stream was cut short: {why}"))
}

impl<D: Dialect> Stream for Generation<D> {
    type Item = TokenEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<TokenEvent>> {
        let this = self.get_mut();
        Poll::Ready(ready!(this.poll_event(cx)).unwrap_or_else(|error| {
            this.body = None;
            this.said = Said::default();
            Some(TokenEvent::Failed(error))
        }))
    }
}

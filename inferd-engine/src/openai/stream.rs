//! One generation: bytes of a body become [`TokenEvent`]s, in the task of whoever reads them.
//!
//! Invariants:
//! - One event is made at a time, when it is asked for: a slow reader slows the server.
//! - `Done` or `Failed` comes once, and nothing after it.
//! - Until then dropping the stream closes the connection; after `Done` it is kept for another request.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;

use super::reply::{Reply, Said};
use crate::http::{Body, Clock, Event, HttpError, Redactor, Sse};
use crate::{GenerateError, TokenEvent};

/// The most bytes of an answer that comes in one piece.
pub(super) const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How the answer is written.
pub(super) enum Form {
    /// As server-sent events.
    Events(Sse),
    /// As one JSON object, gathered here.
    Whole(Vec<u8>),
}

pub(super) struct Generation {
    /// Gone after the last event.
    body: Option<Body>,
    form: Form,
    clock: Clock,
    redactor: Arc<Redactor>,
    reply: Reply,
    /// What the last chunk said and nobody has heard yet.
    said: Said,
    /// Nothing but the end is left to say.
    complete: bool,
}

impl Generation {
    pub(super) fn new(body: Body, form: Form, clock: Clock, redactor: Arc<Redactor>) -> Self {
        let (reply, said) = (Reply::default(), Said::default());
        Self { body: Some(body), form, clock, redactor, reply, said, complete: false }
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
                return Poll::Ready(Ok(Some(self.reply.done())));
            }
            if let Form::Events(sse) = &mut self.form
                && let Some(event) =
                    sse.next().map_err(|error| GenerateError::Unavailable(error.to_string()))?
            {
                match event {
                    Event::Comment => self.clock.sign_of_life(),
                    Event::Data(data) => {
                        self.clock.sign_of_life();
                        self.complete = hear(data, &mut self.reply, &mut self.said, &self.redactor)?;
                    }
                }
                continue;
            }
            match body.poll_chunk(cx) {
                Poll::Ready(Some(Ok(chunk))) => self.form.push(chunk)?,
                // The answer is whole: how the connection ended says nothing about it.
                Poll::Ready(Some(Err(_))) if self.reply.is_finished() => self.complete = true,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(cut_short(&error.to_string()))),
                Poll::Ready(None) => self.end()?,
                Poll::Pending => return Poll::Ready(Err(ready!(self.clock.poll_late(cx)))),
            }
        }
    }

    /// The body is at its end: is the answer?
    fn end(&mut self) -> Result<(), GenerateError> {
        match &mut self.form {
            Form::Events(sse) => {
                let last = sse.end().map(|data| hear(data, &mut self.reply, &mut self.said, &self.redactor));
                if !matches!(last, Some(Ok(true))) && !self.reply.is_finished() {
                    return Err(cut_short("neither a finish_reason nor [DONE] came"));
                }
            }
            Form::Whole(json) => {
                self.said = self.reply.read(json, &self.redactor)?;
                if !self.reply.is_begun() {
                    return Err(GenerateError::Unavailable("the answer holds no choices".to_owned()));
                }
            }
        }
        self.complete = true;
        Ok(())
    }
}

impl Form {
    fn push(&mut self, chunk: Bytes) -> Result<(), HttpError> {
        match self {
            Self::Events(sse) => sse.push(chunk),
            Self::Whole(json) if json.len() + chunk.len() > ANSWER_BYTES_MAX => {
                return Err(HttpError::TooLarge(ANSWER_BYTES_MAX));
            }
            Self::Whole(json) => json.extend_from_slice(&chunk),
        }
        Ok(())
    }
}

/// Takes the data of one event; whether it was the last. Data that is no JSON object is of some other protocol.
fn hear(data: &[u8], reply: &mut Reply, said: &mut Said, redactor: &Redactor) -> Result<bool, GenerateError> {
    let data = data.trim_ascii();
    if data.first() == Some(&b'{') {
        *said = reply.read(data, redactor)?;
    }
    Ok(data == b"[DONE]")
}

fn cut_short(why: &str) -> GenerateError {
    GenerateError::Unavailable(format!("the stream was cut short: {why}"))
}

impl Stream for Generation {
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

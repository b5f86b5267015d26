//! One generation: frames become [`TokenEvent`]s, in the task of whoever reads them.
//!
//! Invariants:
//! - One event is made at a time, when it is asked for: a slow reader slows the other daemon.
//! - `Done` or `Failed` comes once, and nothing after it.
//! - Until then dropping the stream closes the connection.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use inferd_proto::StopReason;

use super::exchange::{Exchange, Heard, Talk};
use super::frame::{Frame, Kind};
use super::link::Broken;
use crate::clock::Clock;
use crate::{GenerateError, TokenEvent};

/// What is kept of an answer between its frames.
#[derive(Default)]
pub(super) struct Tokens {
    /// Text of the answer came before its end.
    spoke: bool,
    /// The end, where the text that came with it has to be said before.
    done: Option<TokenEvent>,
}

impl Talk for Tokens {
    type Said = TokenEvent;

    fn hear(&mut self, frame: Frame<'_>, _line: &[u8]) -> Result<Heard<TokenEvent>, Broken> {
        match frame.kind() {
            Kind::Token if frame.content.is_empty() => Ok(Heard::Life),
            Kind::Token => match &*frame.token_kind {
                "" => {
                    self.spoke = true;
                    Ok(Heard::More(TokenEvent::Token(frame.content.into_owned())))
                }
                "thinking" => Ok(Heard::More(TokenEvent::Thinking(frame.content.into_owned()))),
                // Whatever it is, it is no part of the answer.
                _ => Ok(Heard::Life),
            },
            Kind::Done => self.end(frame).map(Heard::Last),
            _ => Err(frame.misplaced()),
        }
    }
}

impl Tokens {
    /// Takes the `done` frame.
    fn end(&mut self, frame: Frame<'_>) -> Result<Result<TokenEvent, GenerateError>, Broken> {
        let usage = frame.usage();
        let Frame { content, stop_reason, model, tool_calls, .. } = frame;
        let done = match stop_reason {
            // Nobody here cancels but by hanging up.
            Some(StopReason::Cancelled) => {
                let why = "the answer was cut short: cancelled by the other daemon";
                return Ok(Err(GenerateError::Unavailable(why.to_owned())));
            }
            Some(stop_reason) => TokenEvent::Done { stop_reason, usage, tool_calls, model },
            None => return Err(Broken::Garbled("a `done` frame without `stop_reason` came".to_owned())),
        };
        if self.spoke || content.is_empty() {
            return Ok(Ok(done));
        }
        self.done = Some(done);
        Ok(Ok(TokenEvent::Token(content.into_owned())))
    }
}

pub(super) struct Generation {
    /// What was said before anybody read.
    first: Option<TokenEvent>,
    exchange: Exchange<Tokens>,
    clock: Clock,
}

impl Generation {
    pub(super) fn new(first: TokenEvent, exchange: Exchange<Tokens>, clock: Clock) -> Self {
        Self { first: Some(first), exchange, clock }
    }

    /// The next event, or `None` after the last.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<TokenEvent>, GenerateError>> {
        if let Some(event) = self.first.take() {
            self.clock.token();
            return Poll::Ready(Ok(Some(event)));
        }
        if self.exchange.is_over() {
            return Poll::Ready(Ok(self.exchange.talk().done.take()));
        }
        loop {
            match self.exchange.poll_heard(cx) {
                Poll::Ready(Ok(Heard::Life)) => self.clock.sign_of_life(),
                Poll::Ready(Ok(Heard::More(event) | Heard::Last(Ok(event)))) => {
                    self.clock.token();
                    return Poll::Ready(Ok(Some(event)));
                }
                Poll::Ready(Ok(Heard::Last(Err(error)))) => return Poll::Ready(Err(error)),
                Poll::Ready(Err(broken)) => return Poll::Ready(Err(broken.into())),
                Poll::Pending => return Poll::Ready(Err(ready!(self.clock.poll_late(cx)))),
            }
        }
    }
}

impl Stream for Generation {
    type Item = TokenEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<TokenEvent>> {
        let this = self.get_mut();
        Poll::Ready(ready!(this.poll_event(cx)).unwrap_or_else(|error| {
            this.exchange.hang_up();
            Some(TokenEvent::Failed(error))
        }))
    }
}

//! One connection: bytes come in, many requests are open at once, frames go out.
//!
//! ```text
//! socket ─▶ Lines ─▶ Dispatch ─▶ one future a call ─▶ Outbox ─▶ socket
//! ```
//!
//! All of it is one task, so nothing crosses threads between a token and its write.
//!
//! Invariants:
//! - Whatever is ready together leaves in one write; what is ready alone leaves at once.
//! - A reader that is behind stops its own calls and its own requests, and nobody else's.
//! - When this future ends, every call it held is dropped, and with it every place, permit and generation.
//! - Between requests a connection holds no buffers: bytes are read into a buffer of the thread.

mod agent;
mod auth;
mod call;
mod dispatch;
mod embedding;
mod listing;
mod outbox;
mod tool;
mod wire;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use inferd_proto::Lines;
use tokio::io::ReadBuf;
use tokio::time::{Instant, Sleep, sleep_until};

pub(crate) use auth::authenticate;

use crate::audit::Caller;
use crate::endpoint::{Hangup, Socket};
use crate::queue::Client;
use crate::service::{Service, Stop};
use dispatch::Dispatch;
use outbox::Writer;

/// How long nothing is written to a half-closed TCP client while it waits.
const PROOF_OF_LIFE: Duration = Duration::from_secs(1);

/// How long a client that broke the framing may go on sending before the connection is closed on it.
const LINGER: Duration = Duration::from_secs(1);

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

thread_local! {
    static READ_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// Who is behind a connection.
#[derive(Debug)]
pub(crate) struct Visitor {
    /// Their account.
    pub(crate) client: Client,
    /// Who the log says it is.
    pub(crate) caller: Caller,
    /// Who engines are told it is.
    pub(crate) asker: inferd_proto::Caller,
}

/// Serves one client until it is gone, idle for too long, or the daemon stops. `early` is what came with its key.
pub(crate) async fn serve<S: Socket>(socket: S, visitor: Visitor, early: Vec<u8>, service: Arc<Service>) {
    let mut connection = Connection {
        socket,
        lines: Lines::new(service.limits.frame_bytes_max),
        writer: Writer::default(),
        dispatch: Dispatch::new(visitor, Arc::clone(&service)),
        input: Input::Open,
        last_request: Instant::now(),
        draining: false,
        ended: false,
    };
    connection.take(&early);
    drop(early);
    let mut signals = Signals {
        stop: &service.stop,
        draining: pin!(service.stop.draining()),
        ending: pin!(service.stop.ending()),
        alarm: pin!(sleep_until(connection.last_request + service.limits.idle_timeout)),
        listener: None,
    };
    let closed = poll_fn(|cx| connection.poll(cx, &mut signals)).await;
    tracing::debug!(reason = ?closed, "connection closed");
}

/// Why a connection ended.
#[derive(Debug)]
enum Closed {
    /// The client left, or its transport failed.
    Gone,
    /// Everything was answered and nothing more can come.
    Finished,
    /// No request for too long.
    Idle,
    /// The daemon stops.
    Stopped,
}

/// What may still come from the client.
enum Input {
    /// Requests.
    Open,
    /// Nothing: it shut down its writing side and may still be reading.
    HalfClosed(Hangup),
    /// Nothing of sense: the framing is broken, and bytes are thrown away.
    Broken,
}

/// What can wake a connection besides its socket and its calls.
struct Signals<'p, D, E> {
    stop: &'p Stop,
    draining: Pin<&'p mut D>,
    ending: Pin<&'p mut E>,
    alarm: Pin<&'p mut Sleep>,
    /// Who the signals will wake. They are polled again only for another, or when there is news.
    listener: Option<Waker>,
}

impl<D, E> Signals<'_, D, E> {
    /// Whether the task that polls has to be told to the signals.
    fn is_new(&mut self, waker: &Waker) -> bool {
        let known = self.listener.as_ref().is_some_and(|listener| listener.will_wake(waker));
        if !known {
            self.listener = Some(waker.clone());
        }
        !known
    }
}

struct Connection<S> {
    socket: S,
    lines: Lines,
    writer: Writer,
    dispatch: Dispatch,
    input: Input,
    /// When a request last came, or the last of those open ended.
    last_request: Instant,
    draining: bool,
    /// The daemon's patience is over: the calls were ended, their last frames are on their way.
    ended: bool,
}

impl<S: Socket> Connection<S> {
    fn poll<D: Future, E: Future>(
        &mut self,
        cx: &mut Context<'_>,
        signals: &mut Signals<'_, D, E>,
    ) -> Poll<Closed> {
        let new = signals.is_new(cx.waker());
        if new || signals.stop.is_said() {
            self.heed(cx, signals);
        }
        loop {
            if self.dispatch.poll_calls(cx) {
                self.last_request = Instant::now();
            }
            match self.writer.poll_write(self.dispatch.outbox(), &mut self.socket, cx) {
                Poll::Ready(Err(_)) => return Poll::Ready(Closed::Gone),
                Poll::Ready(Ok(())) if self.ended => return Poll::Ready(Closed::Stopped),
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
            match self.poll_input(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Closed::Gone),
                Poll::Pending => break,
            }
        }
        // Only now: what came before the daemon drained is told so.
        if let Some(closed) = self.finished() {
            return Poll::Ready(closed);
        }
        let alarm = signals.alarm.as_mut();
        if new || alarm.is_elapsed() || alarm.deadline() > self.alarm_at() {
            return self.poll_alarm(cx, alarm);
        }
        Poll::Pending
    }

    /// Listens for the daemon's end. Both signals are only polled until they came.
    fn heed<D: Future, E: Future>(&mut self, cx: &mut Context<'_>, signals: &mut Signals<'_, D, E>) {
        if !self.draining && signals.draining.as_mut().poll(cx).is_ready() {
            self.draining = true;
        }
        if !self.ended && signals.ending.as_mut().poll(cx).is_ready() {
            self.ended = true;
            self.dispatch.end_calls();
            self.last_request = Instant::now();
        }
    }

    /// Whether all is said and nothing more can come.
    fn finished(&mut self) -> Option<Closed> {
        if !self.dispatch.is_quiet() || !self.writer.is_empty() {
            return None;
        }
        match self.input {
            Input::HalfClosed(_) => Some(Closed::Finished),
            Input::Open if self.draining => Some(Closed::Stopped),
            Input::Open => {
                self.writer.shrink();
                None
            }
            Input::Broken => None,
        }
    }

    /// Takes in what came. Ready: something changed.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.input {
            Input::HalfClosed(hangup) => {
                ready!(hangup.poll(cx));
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
            // Whoever does not read its answers is not read from either.
            Input::Open | Input::Broken if self.writer.is_behind(self.dispatch.outbox()) => Poll::Pending,
            Input::Open | Input::Broken => READ_BUFFER.with_borrow_mut(|buffer| {
                let mut read = ReadBuf::new(buffer);
                ready!(Pin::new(&mut self.socket).poll_read(cx, &mut read))?;
                match (&self.input, read.filled()) {
                    (Input::Broken, []) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                    (Input::Broken, _) => {}
                    (_, []) => self.end_of_input()?,
                    (_, bytes) => self.take(bytes),
                }
                Poll::Ready(Ok(()))
            }),
        }
    }

    /// Opens the calls that `bytes` complete.
    fn take(&mut self, mut bytes: &[u8]) {
        let received = Instant::now();
        loop {
            match self.lines.next(&mut bytes) {
                Ok(Some(line)) => {
                    self.last_request = received;
                    self.dispatch.line(line, received);
                }
                Ok(None) => return,
                Err(too_large) => {
                    self.dispatch.refuse_frame(too_large);
                    self.lines = Lines::new(0);
                    self.input = Input::Broken;
                    self.last_request = received;
                    return;
                }
            }
        }
    }

    /// The client shut down its writing side; the last line may lack its newline.
    fn end_of_input(&mut self) -> io::Result<()> {
        let received = Instant::now();
        if let Some(line) = self.lines.finish() {
            self.dispatch.line(line, received);
        }
        self.lines = Lines::new(0);
        self.last_request = received;
        self.input = Input::HalfClosed(self.socket.hangup()?);
        self.dispatch.begin_silence();
        Ok(())
    }

    /// Whatever is due by now. The alarm is set anew only when it rings, not for each request.
    fn poll_alarm(&mut self, cx: &mut Context<'_>, mut alarm: Pin<&mut Sleep>) -> Poll<Closed> {
        loop {
            let due = self.alarm_at();
            // An alarm that is too late is moved; one that is too early rings for nothing, once.
            if alarm.deadline() > due {
                alarm.as_mut().reset(due);
            }
            ready!(alarm.as_mut().poll(cx));
            let now = Instant::now();
            if now < due {
                alarm.as_mut().reset(due);
                continue;
            }
            match self.input {
                _ if self.ended => return Poll::Ready(Closed::Stopped),
                Input::Broken if self.dispatch.is_quiet() => return Poll::Ready(Closed::Finished),
                Input::Open if self.dispatch.is_quiet() => return Poll::Ready(Closed::Idle),
                Input::Open | Input::Broken => self.last_request = now,
                Input::HalfClosed(_) => {
                    self.last_request = now;
                    // What is half written proves as much.
                    if !S::TELLS_HALF_CLOSED_FROM_GONE && self.writer.is_empty() {
                        self.dispatch.prove_life();
                        if let Poll::Ready(Err(_)) =
                            self.writer.poll_write(self.dispatch.outbox(), &mut self.socket, cx)
                        {
                            return Poll::Ready(Closed::Gone);
                        }
                    }
                }
            }
        }
    }

    fn alarm_at(&self) -> Instant {
        let after = match self.input {
            _ if self.ended => LINGER,
            Input::Open => self.dispatch.idle_timeout(),
            Input::HalfClosed(_) => PROOF_OF_LIFE,
            Input::Broken => LINGER,
        };
        self.last_request + after
    }
}

#[cfg(test)]
mod tests;

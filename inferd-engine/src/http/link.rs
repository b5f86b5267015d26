//! One connection as a plain value: hyper's two halves, driven by whoever waits for an answer.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::{Request, Response};

use super::HttpError;
use super::socket::Socket;
use crate::idle::{Fitness, Kept};

/// The most bytes of a response's status line and headers together.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// The most bytes of an answer's rest that are thrown away to keep its connection.
const REST_BYTES_MAX: usize = 64 * 1024;

pub(super) struct Link {
    requests: SendRequest<Full<Bytes>>,
    driver: Connection<Socket, Full<Bytes>>,
    /// The driver has returned: nothing more is read or written.
    over: bool,
}

/// An exchange without an answer.
pub(super) struct Unanswered {
    pub(super) error: HttpError,
    /// Whether the server had not said one byte, so that on a reused connection it may never have seen the request.
    pub(super) silent: bool,
}

/// A connection between two requests.
pub(super) struct Resting {
    pub(super) link: Link,
    /// What was not read of the last answer, because nothing in it mattered any more.
    pub(super) rest: Option<Incoming>,
}

impl Kept for Resting {
    fn fitness(&mut self) -> Fitness {
        self.link.fitness(&mut self.rest)
    }
}

impl Link {
    pub(super) async fn new(socket: Socket) -> Result<Self, HttpError> {
        let (requests, driver) =
            http1::Builder::new().max_header_size(HEAD_BYTES_MAX).handshake(socket).await?;
        Ok(Self { requests, driver, over: false })
    }

    /// Sends `request` and waits for the head of its answer.
    pub(super) async fn exchange(
        mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Self), Unanswered> {
        let mut answer = pin!(self.requests.send_request(request));
        let answered = poll_fn(|cx| {
            self.drive(cx);
            answer.as_mut().poll(cx)
        });
        match answered.await {
            Ok(answer) => Ok((answer, self)),
            Err(error) => {
                let silent = self.driver.into_parts().read_buf.is_empty();
                Err(Unanswered { error: error.into(), silent })
            }
        }
    }

    /// The next piece of `body`, which this connection carries; never empty.
    ///
    /// Body and driver wake each other at every chunk. As both are polled here, those wake-ups would only have the task
    /// polled again for nothing; so its waker is shown to them only where there is something to wait for.
    pub(super) fn poll_chunk(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        match self.try_chunk(body, &mut Context::from_waker(Waker::noop())) {
            Poll::Pending => self.try_chunk(body, cx),
            chunk @ Poll::Ready(_) => chunk,
        }
    }

    fn try_chunk(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        loop {
            self.drive(cx);
            match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) if !chunk.is_empty() => return Poll::Ready(Some(Ok(chunk))),
                    // Trailers say nothing that an engine asks for.
                    Ok(_) | Err(_) => {}
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }

    /// Whether another request may be sent: reads the `rest` of the answer before, without waiting, and notices
    /// whether the server has hung up. The task polling last is forgotten, so an idle connection wakes nobody.
    pub(super) fn fitness(&mut self, rest: &mut Option<Incoming>) -> Fitness {
        let cx = &mut Context::from_waker(Waker::noop());
        let mut read = 0;
        while let Some(body) = rest {
            match self.try_chunk(body, cx) {
                Poll::Ready(None) => *rest = None,
                Poll::Ready(Some(Ok(chunk))) if read < REST_BYTES_MAX => read += chunk.len(),
                Poll::Ready(Some(_)) => return Fitness::Dead,
                Poll::Pending => return Fitness::Busy,
            }
        }
        self.drive(cx);
        if !self.over && self.requests.is_ready() { Fitness::Free } else { Fitness::Dead }
    }

    /// Reads and writes what can be. How the connection ended, if it did, is told to whoever waits for its answer.
    fn drive(&mut self, cx: &mut Context<'_>) {
        self.over = self.over || Pin::new(&mut self.driver).poll(cx).is_ready();
    }
}

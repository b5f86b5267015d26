//! The frames of one answer, as they come.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use inferd_proto::Response;
use tokio::sync::mpsc;

use super::asker::Held;
use super::connection::Connection;
use super::{Broken, ClientError};

/// The answer to one request: a stream of its frames that ends after the terminal one, or after an error where the
/// connection broke first. Dropping it unfinished ends the request.
#[must_use = "dropping an answer ends its request"]
pub struct Answer {
    id: String,
    frames: mpsc::Receiver<Held>,
    connection: Arc<Connection>,
    over: bool,
    cancelled: bool,
}

impl Answer {
    pub(super) fn new(id: String, frames: mpsc::Receiver<Held>, connection: Arc<Connection>) -> Self {
        Self { id, frames, connection, over: false, cancelled: false }
    }

    /// The id of the request.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether a frame is here already, so that reading it would not wait.
    #[must_use]
    pub fn has_frame(&self) -> bool {
        !self.frames.is_empty()
    }

    /// Asks the daemon to end the request. Its terminal frame still comes, with what was generated.
    pub fn cancel(&mut self) {
        if !self.over && !self.cancelled {
            self.cancelled = true;
            self.connection.open.cancel(&self.id);
        }
    }
}

impl Stream for Answer {
    type Item = Result<Response, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let next = ready!(self.frames.poll_recv(cx)).map(|(frame, _room)| frame);
        self.over = next.as_ref().is_none_or(Response::is_terminal);
        let broken = || ClientError::Broken(self.connection.open.broken().unwrap_or(Broken::Closed));
        let next = next.ok_or_else(broken);
        Poll::Ready(Some(next))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.cancel();
    }
}

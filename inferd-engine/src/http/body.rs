//! The body of an answer, together with the connection it comes through.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::HttpError;
use super::link::Link;
use crate::idle::{Fitness, Idle, Kept};

/// The chunks of one answer. Dropping it closes the connection unless it was read to its end.
pub(crate) struct Body {
    /// Gone once the body was read to its end.
    link: Option<Link>,
    idle: Arc<Idle<Link>>,
}

impl Body {
    pub(super) fn new(link: Link, idle: Arc<Idle<Link>>) -> Self {
        Self { link: Some(link), idle }
    }

    /// The next chunk; never empty. `None` is a complete end; a body cut short is an error.
    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, HttpError>>> {
        let Some(link) = &mut self.link else { return Poll::Ready(None) };
        let chunk = link.poll_chunk(cx);
        if let Poll::Ready(None) = chunk
            && let Some(mut link) = self.link.take()
            && link.fitness() == Fitness::Free
        {
            self.idle.put(link);
        }
        chunk
    }

    /// Nothing more of this body matters. Its connection is used again if what is left turns out to be short.
    pub(crate) fn finish(self) {
        if let Some(link) = self.link {
            self.idle.put(link);
        }
    }

    /// All of the body.
    ///
    /// # Errors
    /// [`HttpError::TooLarge`] above `limit` bytes, [`HttpError::Broken`] if it was cut short.
    pub(crate) async fn read(mut self, limit: usize) -> Result<Vec<u8>, HttpError> {
        let mut whole = Vec::new();
        while let Some(chunk) = poll_fn(|cx| self.poll_chunk(cx)).await {
            let chunk = chunk?;
            if whole.len() + chunk.len() > limit {
                return Err(HttpError::TooLarge(limit));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole)
    }

    /// The beginning of the body: at most `limit` bytes, whatever happens after them.
    pub(crate) async fn read_beginning(&mut self, limit: usize, into: &mut Vec<u8>) {
        while let Some(Ok(chunk)) = poll_fn(|cx| self.poll_chunk(cx)).await {
            into.extend_from_slice(&chunk[..chunk.len().min(limit - into.len())]);
            if into.len() == limit {
                return;
            }
        }
    }
}

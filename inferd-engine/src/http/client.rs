//! Sends requests to one origin, over connections that are used again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use tokio_rustls::rustls::ClientConfig;

use super::connect::connect;
use super::link::{Link, Resting, Unanswered};
use super::{Body, HttpError, Origin};
use crate::idle::Idle;

/// The client of one backend.
pub(crate) struct Client {
    origin: Origin,
    connect_timeout: Duration,
    /// Whom to trust where it is not the system's certificates that decide.
    trust: Option<Arc<ClientConfig>>,
    idle: Arc<Idle<Resting>>,
}

/// What is sent.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) target: &'a Uri,
    /// All headers but those that describe the body; see [`Client::headers`].
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: Bytes,
}

/// What comes back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

impl Client {
    pub(crate) fn new(origin: Origin, connect_timeout: Duration) -> Self {
        Self { origin, connect_timeout, trust: None, idle: Arc::default() }
    }

    /// The headers every request needs; the engine adds its own.
    pub(crate) fn headers(&self) -> HeaderMap {
        let agent = HeaderValue::from_static(concat!("inferd/", env!("CARGO_PKG_VERSION")));
        HeaderMap::from_iter([(HOST, self.origin.authority.clone()), (USER_AGENT, agent)])
    }

    /// Sends `ask` and waits for the head of the answer; it is the caller who bounds that wait.
    ///
    /// A connection that was idle may have been closed while the request was on its way: where the server has not
    /// answered one byte, the request is sent once more, on a new connection.
    pub(crate) async fn send(&self, ask: Ask<'_>) -> Result<Answer, HttpError> {
        if let Some(Resting { link, .. }) = self.idle.take() {
            match link.exchange(ask.request()).await {
                Ok((answer, link)) => return Ok(self.answered(answer, link)),
                Err(Unanswered { silent: true, .. }) => {}
                Err(Unanswered { error, .. }) => return Err(error),
            }
        }
        let link = connect(&self.origin, self.trust.as_ref(), self.connect_timeout).await?;
        match link.exchange(ask.request()).await {
            Ok((answer, link)) => Ok(self.answered(answer, link)),
            Err(Unanswered { error, .. }) => Err(error),
        }
    }

    /// Closes the idle connections.
    pub(crate) fn hang_up(&self) {
        self.idle.clear();
    }

    fn answered(&self, answer: hyper::Response<hyper::body::Incoming>, link: Link) -> Answer {
        let (head, incoming) = answer.into_parts();
        let body = Body::new(incoming, link, Arc::clone(&self.idle));
        Answer { status: head.status, headers: head.headers, body }
    }
}

impl Ask<'_> {
    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

#[cfg(test)]
mod tests;

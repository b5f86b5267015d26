//! Sends requests to one origin, over connections that are used again.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, StatusCode, Uri};
use tokio_rustls::rustls::ClientConfig;

use super::connect::connect;
use super::link::{Link, Unanswered};
use super::{Body, HttpError, Origin};
use crate::idle::Idle;

/// The client of one backend.
pub(crate) struct Client {
    origin: Origin,
    connect_timeout: Duration,
    /// Whom to trust where it is not the system's certificates that decide.
    trust: Option<Arc<ClientConfig>>,
    idle: Arc<Idle<Link>>,
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
        if let Some(link) = self.idle.take() {
            match link.exchange(ask.request()).await {
                Ok(answered) => return Ok(self.answer(answered)),
                Err(Unanswered { silent: true, .. }) => {}
                Err(Unanswered { error, .. }) => return Err(error),
            }
        }
        let link = connect(&self.origin, self.trust.as_ref(), self.connect_timeout).await?;
        match link.exchange(ask.request()).await {
            Ok(answered) => Ok(self.answer(answered)),
            Err(Unanswered { error, .. }) => Err(error),
        }
    }

    /// Sends `ask` once, whatever becomes of it: for what must not be done twice.
    pub(crate) async fn send_once(&self, ask: Ask<'_>) -> Result<Answer, HttpError> {
        let link = match self.idle.take() {
            Some(link) => link,
            None => connect(&self.origin, self.trust.as_ref(), self.connect_timeout).await?,
        };
        match link.exchange(ask.request()).await {
            Ok(answered) => Ok(self.answer(answered)),
            Err(Unanswered { error, .. }) => Err(error),
        }
    }

    /// Closes the idle connections.
    pub(crate) fn hang_up(&self) {
        self.idle.clear();
    }

    fn answer(&self, (status, headers, link): (StatusCode, HeaderMap, Link)) -> Answer {
        Answer { status, headers, body: Body::new(link, Arc::clone(&self.idle)) }
    }
}

impl Ask<'_> {
    /// The request as it is sent.
    fn request(&self) -> impl Buf + use<> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let length = HeaderValue::from(self.body.len());
        let describes_body = (self.method == Method::POST).then_some((&CONTENT_LENGTH, &length));
        for (name, value) in self.headers.iter().chain(describes_body) {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        Bytes::from(head).chain(self.body.clone())
    }
}

#[cfg(test)]
mod tests;

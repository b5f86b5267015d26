//! One URL and the exchanges with it, for what speaks HTTP and is no engine: a request goes out, a status, headers and a
//! body come back, whole or as events.
//!
//! It is the HTTP client of the engines, with its invariants: redirects are never followed, proxies never used, and a
//! connection closes when what is read from it is dropped. Here a request is never sent twice.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use http::{Method, StatusCode, Uri};
use secrecy::{ExposeSecret, SecretString};

use crate::http::{Ask, BadUrl, Body, Client, Event, HttpError, Origin, Redactor, Sse};

/// One URL, and the key shown there.
pub struct Site {
    client: Client,
    target: Uri,
    headers: HeaderMap,
    redactor: Redactor,
}

/// An exchange that failed.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// Nobody was reached: nothing was sent.
    #[error("{0}")]
    Unreachable(String),
    /// The connection ended before the answer did. Whether the request was carried out is not known.
    #[error("{0}")]
    Broken(String),
    /// The answer, or one event of it, is longer than was asked for.
    #[error("the answer exceeds {0} bytes")]
    TooLong(usize),
}

/// The head of an answer, and its body to come.
pub struct Reply {
    /// What it comes to.
    pub status: StatusCode,
    /// What is said of the body.
    pub headers: HeaderMap,
    body: Body,
}

/// A body as events. Dropped, it closes its connection.
pub struct Events {
    body: Body,
    sse: Sse,
}

impl Site {
    /// The site at `url`, `http` or `https`, where `key` is shown as a bearer token. A connection may take
    /// `connect_timeout` to come about.
    ///
    /// # Errors
    /// [`BadUrl`], and a key that no header can hold is [`BadUrl::Credentials`].
    pub fn new(url: &str, key: Option<&SecretString>, connect_timeout: Duration) -> Result<Self, BadUrl> {
        let origin = Origin::parse(url, "")?;
        let uri: Uri = url.trim().parse().map_err(|_| BadUrl::NotAnUrl)?;
        let target = uri.path().parse().map_err(|_| BadUrl::NotAnUrl)?;
        let client = Client::new(origin, connect_timeout);
        let mut headers = client.headers();
        if let Some(key) = key {
            let bearer = format!("Bearer {}", key.expose_secret());
            let mut bearer = HeaderValue::from_str(&bearer).map_err(|_| BadUrl::Credentials)?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        Ok(Self { client, target, headers, redactor: Redactor::new(key.cloned()) })
    }

    /// Sends a request, once, and waits for the head of the answer; it is the caller who bounds that wait.
    ///
    /// # Errors
    /// [`SiteError::Unreachable`] and [`SiteError::Broken`].
    pub async fn send(&self, method: Method, headers: HeaderMap, body: Bytes) -> Result<Reply, SiteError> {
        let mut all = self.headers.clone();
        all.extend(headers);
        let ask = Ask { method, target: &self.target, headers: &all, body };
        let answer = self.client.send_once(ask).await?;
        Ok(Reply { status: answer.status, headers: answer.headers, body: answer.body })
    }

    /// What the site said, fit to be shown: on one line, short, and without anything that looks like a key.
    #[must_use]
    pub fn shown(&self, text: &str) -> String {
        self.redactor.shown(text)
    }
}

impl Reply {
    /// All of the body.
    ///
    /// # Errors
    /// [`SiteError::TooLong`] above `bytes_max`, [`SiteError::Broken`] if it was cut short.
    pub async fn read(self, bytes_max: usize) -> Result<Vec<u8>, SiteError> {
        Ok(self.body.read(bytes_max).await?)
    }

    /// The beginning of the body, at most `bytes_max` of it, whatever comes after.
    pub async fn read_beginning(mut self, bytes_max: usize) -> Vec<u8> {
        let mut beginning = Vec::new();
        self.body.read_beginning(bytes_max, &mut beginning).await;
        beginning
    }

    /// The body as events of at most `event_bytes_max`.
    #[must_use]
    pub fn events(self, event_bytes_max: usize) -> Events {
        Events { body: self.body, sse: Sse::new(event_bytes_max) }
    }
}

impl Events {
    /// The data of the next event. `None` is a complete end.
    ///
    /// # Errors
    /// [`SiteError::TooLong`], after which nothing more can be read, and [`SiteError::Broken`].
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, SiteError> {
        loop {
            match self.sse.next() {
                // One without data only says where the stream is.
                Ok(Some(Event::Comment | Event::Data([]))) => {}
                Ok(Some(Event::Data(data))) => return Ok(Some(data.to_vec())),
                Ok(None) => match poll_fn(|cx| self.body.poll_chunk(cx)).await {
                    Some(chunk) => self.sse.push(chunk?),
                    None => return Ok(None),
                },
                Err(refused) => return Err(SiteError::TooLong(refused.event_bytes_max)),
            }
        }
    }

    /// The id of the last event that had one: where to come back to.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.sse.last_id()
    }

    /// How long to wait before coming back, where the server said so.
    #[must_use]
    pub fn retry(&self) -> Option<Duration> {
        self.sse.retry_ms().map(Duration::from_millis)
    }

    /// Nothing more of it matters; its connection is kept for another request where that can be.
    pub fn finish(self) {
        self.body.finish();
    }
}

impl From<HttpError> for SiteError {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Connect { .. } => Self::Unreachable(error.to_string()),
            HttpError::Broken(_) => Self::Broken(error.to_string()),
            HttpError::TooLarge(bytes_max) => Self::TooLong(bytes_max),
        }
    }
}

#[cfg(test)]
mod tests;

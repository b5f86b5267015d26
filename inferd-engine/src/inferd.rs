//! Another daemon of ours as an engine, over a local socket, a named pipe or TCP.
//!
//! A [`Resolved`] request leaves as one line of protocol v1 (`docs/PROTOCOL.md`); the frames that answer it become a
//! [`TokenStream`]. Each request has a connection of its own, which is kept for the next one after the terminal frame.
//! On a new connection the key goes first where there is one, then a `hello`, so that additive fields come back, then
//! the request, none of them waiting for an answer.
//!
//! Invariants:
//! - There is no task behind a stream: bytes are read when it is polled, and dropping it closes the connection, which
//!   ends the request over there.
//! - What the request itself limits (its deadline, its time in the queue) is kept on this side and not passed on.
//! - The key is sent on TCP to the configured place only; no error, log line or `Debug` output shows it, nor the path
//!   of a local socket.

mod dial;
mod exchange;
mod frame;
mod generation;
mod link;
mod others;
mod refusal;
mod request;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use inferd_proto::{Auth, EmbedRequest, Resolved};
use secrecy::{ExposeSecret, SecretString};

use crate::clock::{Clock, Timeouts};
use crate::http::Redactor;
use crate::idle::Idle;
use crate::{Backend, Capabilities, Embedded, GenerateError, TokenStream};
use dial::Dial;
use exchange::{Answer, Asked, Exchange, Talk};
use generation::{Generation, Tokens};
use link::Link;
use others::{Models, Vectors};

/// Where a daemon listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InferdAddress {
    /// A Unix socket, or a named pipe such as `\\.\pipe\inferd-infer`.
    Local(PathBuf),
    /// `host:port`.
    Tcp(String),
}

/// Another daemon: where it is and how long it may take.
#[derive(Debug, Clone)]
pub struct InferdConfig {
    /// The backend's unique name.
    pub name: String,
    /// Where it listens.
    pub address: InferdAddress,
    /// Its key, for a daemon reached by TCP; on a local socket the system says who is calling, and none is sent.
    pub api_key: Option<SecretString>,
    /// Name and transport together.
    pub connect_timeout: Duration,
    /// From sending to the first token: what the request waits in the other daemon's queue is part of it.
    pub first_token_timeout: Duration,
    /// Between tokens, or other signs of life, after that.
    pub idle_timeout: Duration,
    /// From sending to the end.
    pub total_timeout: Option<Duration>,
}

impl InferdConfig {
    /// A daemon without a key: 5 s to connect, 120 s to the first token, 60 s between tokens, no limit in total.
    #[must_use]
    pub fn new(name: impl Into<String>, address: InferdAddress) -> Self {
        Self {
            name: name.into(),
            address,
            api_key: None,
            connect_timeout: Duration::from_secs(5),
            first_token_timeout: Duration::from_secs(120),
            idle_timeout: Duration::from_secs(60),
            total_timeout: None,
        }
    }
}

/// A configuration that cannot work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InferdError {
    /// Nothing can be reached there.
    #[error("address: expected a local socket or host:port")]
    Address,
    /// No daemon reads so long a first line.
    #[error("api key: expected at most {AUTH_BYTES_MAX} bytes with what stands around it")]
    Key,
}

/// The longest first line that a daemon reads of a client on TCP.
const AUTH_BYTES_MAX: usize = 4096;
const HELLO: &[u8] = b"{\"type\":\"hello\"}\n";

/// The backend.
pub struct Inferd {
    name: String,
    dial: Dial,
    /// Whether it is one that may close a connection without a word, for want of the right key.
    by_tcp: bool,
    /// The key's line, or nothing.
    auth: Bytes,
    /// What goes before the first request of a connection: the key's line and a hello.
    greeting: Bytes,
    timeouts: Timeouts,
    redactor: Arc<Redactor>,
    idle: Arc<Idle<Link>>,
    requests_sent: AtomicU64,
}

impl Inferd {
    /// The backend of `config`. Nothing is connected to before the first request.
    ///
    /// # Errors
    /// [`InferdError`] where the address or the key cannot be used.
    pub fn new(config: InferdConfig) -> Result<Self, InferdError> {
        let dial = dial::to(&config.address, config.connect_timeout)?;
        let by_tcp = matches!(config.address, InferdAddress::Tcp(_));
        let auth = auth_line(config.api_key.as_ref().filter(|_| by_tcp))?;
        Ok(Self {
            name: config.name,
            dial,
            by_tcp,
            greeting: [&auth, HELLO].concat().into(),
            auth,
            timeouts: Timeouts {
                first_token: config.first_token_timeout,
                idle: config.idle_timeout,
                total: config.total_timeout,
            },
            redactor: Arc::new(Redactor::new(config.api_key)),
            idle: Arc::default(),
            requests_sent: AtomicU64::new(0),
        })
    }

    /// An id that no other request of this backend has.
    fn next_id(&self) -> String {
        self.requests_sent.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// Sends `asked` and waits for the first thing said in answer; it is the caller who bounds that wait.
    ///
    /// A connection that was idle may have been closed while the request was on its way: where the other daemon has
    /// not answered one byte, the request is sent once more, on a new connection.
    async fn ask<T: Talk>(
        &self,
        asked: &Asked,
        new_talk: impl Fn() -> T,
    ) -> Result<(T::Said, Exchange<T>), GenerateError> {
        let exchange = |link, greets| {
            Exchange::new(link, &self.idle, Answer::new(asked, greets, new_talk(), &self.redactor))
        };
        if let Some(mut link) = self.idle.take() {
            link.send(Bytes::new(), asked.line.clone());
            let mut kept = exchange(link, false);
            match kept.first().await {
                Ok(said) => return Ok((said?, kept)),
                Err(_) if kept.is_silent() => {}
                Err(broken) => return Err(broken.into()),
            }
        }
        let mut link = Link::new((self.dial)().await?);
        let before = if asked.is_hello { &self.auth } else { &self.greeting };
        link.send(before.clone(), asked.line.clone());
        let mut fresh = exchange(link, !asked.is_hello);
        match fresh.first().await {
            Ok(said) => Ok((said?, fresh)),
            Err(broken) if self.by_tcp && fresh.is_silent() && broken.is_hang_up() => {
                Err(GenerateError::RefusedCredentials)
            }
            Err(broken) => Err(broken.into()),
        }
    }
}

fn auth_line(key: Option<&SecretString>) -> Result<Bytes, InferdError> {
    let Some(key) = key else { return Ok(Bytes::new()) };
    let auth = Auth { key: key.expose_secret().to_owned() };
    let mut line = serde_json::to_vec(&auth).expect("a text is JSON");
    line.push(b'\n');
    if line.len() > AUTH_BYTES_MAX { Err(InferdError::Key) } else { Ok(line.into()) }
}

#[async_trait]
impl Backend for Inferd {
    fn name(&self) -> &str {
        &self.name
    }

    /// Always: only asking would tell.
    fn ready(&self) -> bool {
        true
    }

    /// All there may be: what the daemon lacks it refuses itself.
    fn capabilities(&self) -> Capabilities {
        Capabilities { vision: true, tools: true, thinking: true, embed: true, grammar: true }
    }

    async fn generate(&self, request: Resolved) -> Result<TokenStream, GenerateError> {
        let mut clock = Clock::start(self.timeouts);
        let asked = request::generate(&request, self.next_id())?;
        let (first, exchange) = clock.bound(self.ask(&asked, Tokens::default)).await??;
        Ok(Box::pin(Generation::new(first, exchange, clock)))
    }

    async fn embed(&self, request: EmbedRequest) -> Result<Embedded, GenerateError> {
        let texts = request.input.len();
        let asked = request::embed(request, self.next_id())?;
        let asking = self.ask(&asked, || Vectors { texts });
        Ok(Clock::start(self.timeouts).bound(asking).await??.0)
    }

    /// The names that its `hello` lists, each once; `*` stands for any.
    async fn models(&self) -> Result<Vec<String>, GenerateError> {
        let asked = request::hello();
        let asking = self.ask(&asked, || Models);
        match Clock::start(self.timeouts).bound(asking).await? {
            Ok((models, _)) => Ok(models),
            Err(GenerateError::InvalidRequest(reason)) => {
                Err(GenerateError::Unavailable(format!("does not say what it serves: {reason}")))
            }
            Err(error) => Err(error),
        }
    }

    async fn stop(&self, _timeout: Duration) -> Result<(), GenerateError> {
        self.idle.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests;

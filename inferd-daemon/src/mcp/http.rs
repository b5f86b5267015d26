//! HTTP in front of rmcp: a connection's requests enter, answers leave.
//!
//! What is checked here is checked for every request and before rmcp sees it; rmcp then knows the protocol's own rules
//! about heads and bodies. What a session's stream says is written here too.
//!
//! Invariants:
//! - Host and Origin are looked at first, then the key, then how much there is to read.
//! - No principal holds more than its share of the connections with streams that do not end.
//! - No body is longer than [`Limits::body_bytes_max`], and none is waited for longer than [`BODY_PATIENCE`].

mod answers;
mod body;
mod events;
mod origins;
mod stall;
mod standing;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};
use hyper::{Method, Request, Response, StatusCode};
use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::StreamableHttpService;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::events::Events;
use self::origins::Origins;
use super::manager::Manager;
use super::manager::handover::{self, Outcome};
use super::session::Principal;
use crate::secrets::Keys;
pub(crate) use stall::Stall;
use standing::{Standing, is_standing};

/// The one path.
const PATH: &str = "/mcp";

/// Who comes without a key where none is asked for.
pub(crate) const NOBODY: &str = "local";

/// How long a body may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(60);

/// What an answer is made of.
pub(crate) type Answer = Response<BoxBody<Bytes, Infallible>>;

/// How a listener for MCP clients is set up.
#[derive(Debug, Clone, Default)]
pub struct McpConfig {
    /// Web pages that may come beside those of this machine, such as `https://app.example`. Their hosts are names of
    /// this server too.
    pub allowed_origins: Vec<String>,
    /// Names of this server beside those of the loopback, such as `box.lan` or `box.lan:47324`.
    pub allowed_hosts: Vec<String>,
    /// Keys of which a client must hold one; `None`: none is needed.
    pub keys: Option<Arc<Keys>>,
    /// What clients may hold.
    pub limits: Limits,
}

/// What clients may hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; further ones wait to be accepted.
    pub connections_max: usize,
    /// Bytes of one request's body.
    pub body_bytes_max: usize,
    /// Between two signs of life on a stream.
    pub heartbeat: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections_max: 1024, body_bytes_max: 8 * 1024 * 1024, heartbeat: Duration::from_secs(30) }
    }
}

/// What every request goes through.
pub(crate) struct Door<H> {
    /// Whom it lets in now.
    config: watch::Receiver<McpConfig>,
    limits: Limits,
    service: StreamableHttpService<H, Manager>,
    standing: Standing,
    /// Ends streams that would never end.
    draining: CancellationToken,
}

impl<H: ServerHandler> Door<H> {
    pub(crate) fn new(
        config: watch::Receiver<McpConfig>,
        service: StreamableHttpService<H, Manager>,
        draining: CancellationToken,
    ) -> Self {
        let limits = config.borrow().limits;
        let standing = Standing::new(limits.connections_max);
        Self { config, limits, service, standing, draining }
    }

    /// Answers one request.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let (origins, keys) = {
            let config = self.config.borrow();
            (Origins::new(&config.allowed_origins, &config.allowed_hosts), config.keys.clone())
        };
        let origin = match origins.check(&head.uri, &head.headers) {
            Ok(origin) => origin,
            Err(refusal) => {
                tracing::warn!(%refusal, "an MCP request was refused");
                return answers::error(StatusCode::FORBIDDEN, "forbidden", &refusal.to_string());
            }
        };
        let preflight = head.method == Method::OPTIONS;
        let asked = head.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        let mut answer = if head.uri.path() != PATH {
            answers::error(StatusCode::NOT_FOUND, "not_found", "the one path here is /mcp")
        } else if preflight {
            answers::empty(StatusCode::NO_CONTENT)
        } else {
            match who(keys.as_deref(), &head.headers) {
                Some(principal) => self.admitted(Request::from_parts(head, body), principal).await,
                None => answers::unauthorized(),
            }
        };
        if let Some(origin) = origin {
            answers::allow(&mut answer, origin, asked.filter(|_| preflight));
        }
        answer
    }

    async fn admitted(&self, request: Request<Incoming>, principal: Principal) -> Answer {
        let (mut head, body) = request.into_parts();
        let method = head.method.clone();
        let stand = match is_standing(&method, &head.headers).then(|| self.standing.take(&principal)) {
            Some(None) => return answers::too_many_streams(),
            Some(Some(stand)) => Some(stand),
            None => None,
        };
        let resumable = is_resumable(&head.headers);
        let body = if method == Method::POST {
            let read = body::read(body, &head.headers, self.limits.body_bytes_max);
            match tokio::time::timeout(BODY_PATIENCE, read).await {
                Ok(Ok(body)) => body,
                Ok(Err(refusal)) => return refusal.into_answer(),
                Err(_) => return answers::late(),
            }
        } else {
            Bytes::new()
        };
        head.extensions.insert(principal.clone());
        let request = Request::from_parts(head, Full::new(body));
        let (answer, outcome) = handover::serve(principal, self.service.handle(request)).await;
        let answer = self.finish(&method, resumable, answer, outcome);
        match stand {
            Some(stand) => stand.under(answer),
            None => answer,
        }
    }

    /// Makes of what rmcp answers what the client gets.
    fn finish(&self, method: &Method, resumable: bool, answer: Answer, outcome: Outcome) -> Answer {
        match outcome {
            Outcome::Full(full) => answers::full(&full),
            Outcome::NoSession => answers::expired(),
            Outcome::Read(reader) if answer.status() == StatusCode::OK => {
                let events = if method == Method::GET {
                    Events::standing(reader, self.limits.heartbeat, self.draining.clone())
                } else {
                    Events::of_call(reader, self.limits.heartbeat, resumable)
                };
                answer.map(|_| events.into_body())
            }
            Outcome::AsIs | Outcome::Read(_)
                if answer.status() == StatusCode::NOT_FOUND && !is_json(&answer) =>
            {
                answers::expired()
            }
            Outcome::AsIs if *method == Method::DELETE && answer.status() == StatusCode::ACCEPTED => {
                answers::empty(StatusCode::NO_CONTENT)
            }
            Outcome::AsIs | Outcome::Read(_) => answer,
        }
    }
}

/// Whose request it is. `None`: it gave no valid key.
fn who(keys: Option<&Keys>, headers: &HeaderMap) -> Option<Principal> {
    let Some(keys) = keys else { return Some(Principal::from(NOBODY)) };
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    let name = keys.identify(key.trim())?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Principal::from(name))
}

/// Whether the answer is one of the protocol, rather than rmcp's own words.
fn is_json(answer: &Answer) -> bool {
    answer.headers().contains_key(header::CONTENT_TYPE)
}

/// Whether the client knows that a stream may end before the answer is there (2025-11-25, transports).
fn is_resumable(headers: &HeaderMap) -> bool {
    let version = headers.get("mcp-protocol-version").and_then(|version| version.to_str().ok());
    version.is_some_and(|version| version >= "2025-11-25")
}

#[cfg(test)]
mod tests;

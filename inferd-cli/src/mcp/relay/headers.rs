//! Heads of requests: the session, the version, and what a request of 2026-07-28 repeats of its body.

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::Session;
use crate::mcp::message::{Kind, Message};

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const CURSOR: HeaderName = HeaderName::from_static("last-event-id");

/// The head that a message goes with.
pub(super) fn of(message: &Message, session: &Session) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    if let Some(version) = message.version() {
        put(&mut headers, VERSION, Some(version));
        put(&mut headers, METHOD, message.method());
        put(&mut headers, NAME, message.name());
    } else if message.kind() != Kind::Initialize {
        put(&mut headers, SESSION, session.id.as_deref());
        put(&mut headers, VERSION, session.version.as_deref());
    }
    headers
}

/// The head of what reads, or ends, a session.
pub(super) fn read(session: &Session, cursor: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
    put(&mut headers, SESSION, session.id.as_deref());
    put(&mut headers, VERSION, session.version.as_deref());
    put(&mut headers, CURSOR, cursor);
    headers
}

/// The session that an answer names.
pub(super) fn session(headers: &HeaderMap) -> Option<String> {
    headers.get(SESSION).and_then(|id| id.to_str().ok()).map(str::to_owned)
}

/// What cannot stand in a head is left out: the daemon says that it is missing.
fn put(headers: &mut HeaderMap, name: HeaderName, value: Option<&str>) {
    if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
        headers.insert(name, value);
    }
}

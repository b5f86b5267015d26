//! Answers that rmcp does not give.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::Answer;
use crate::mcp::session::StoreFull;

/// What a web page may ask with.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE");
/// What a web page may see of an answer's head.
const EXPOSED: HeaderValue = HeaderValue::from_static("Mcp-Session-Id, WWW-Authenticate, Retry-After");
/// Seconds for which a page need not ask again what it may ask.
const PREFLIGHT_S: HeaderValue = HeaderValue::from_static("600");

/// When it may be worth another try to open a stream.
const STREAM_RETRY: Duration = Duration::from_secs(10);

pub(super) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Empty::new().boxed());
    *answer.status_mut() = status;
    answer
}

pub(super) fn json(status: StatusCode, value: &Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(value.to_string())).boxed());
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// An error of HTTP's: it is about the request's head.
pub(super) fn error(status: StatusCode, error: &str, message: &str) -> Answer {
    json(status, &json!({ "error": error, "status": status.as_u16(), "message": message }))
}

/// An error of JSON-RPC's: it is about the request's body. The id is not known.
pub(super) fn rpc_error(status: StatusCode, code: i32, message: &str) -> Answer {
    json(status, &json!({ "jsonrpc": "2.0", "id": null, "error": { "code": code, "message": message } }))
}

pub(super) fn unauthorized() -> Answer {
    let mut answer = error(StatusCode::UNAUTHORIZED, "unauthorized", "this server asks for a key it knows");
    let challenge = HeaderValue::from_static("Bearer realm=\"inferd\"");
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    answer
}

/// A session that is over, another's, or was never there: which of them is not said.
pub(super) fn expired() -> Answer {
    let status = StatusCode::NOT_FOUND;
    json(
        status,
        &json!({
            "error": "session_expired",
            "status": status.as_u16(),
            "message": "there is no such session, or it is over",
            "retry": "re-initialize",
        }),
    )
}

pub(super) fn full(full: &StoreFull) -> Answer {
    let mut answer = error(StatusCode::SERVICE_UNAVAILABLE, "too_many_sessions", &full.to_string());
    answer.headers_mut().insert(header::RETRY_AFTER, seconds(full.retry_after));
    answer
}

/// The principal holds as many streams as one may.
pub(super) fn too_many_streams() -> Answer {
    let message = "as many streams are open as one client may hold";
    let mut answer = error(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", message);
    answer.headers_mut().insert(header::RETRY_AFTER, seconds(STREAM_RETRY));
    // It holds connections enough.
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// The body did not come. What is left of it is not waited for.
pub(super) fn late() -> Answer {
    let mut answer = error(StatusCode::REQUEST_TIMEOUT, "request_timeout", "the body did not arrive in time");
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

fn seconds(duration: Duration) -> HeaderValue {
    HeaderValue::from(duration.as_secs().max(1))
}

/// Lets the page of `origin` see the answer. `asked`: the fields it wants to send, if that is the question.
pub(super) fn allow(answer: &mut Answer, origin: HeaderValue, asked: Option<HeaderValue>) {
    let headers = answer.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(asked) = asked {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_S);
    }
}

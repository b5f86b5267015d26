//! From an answer that is no answer to a [`GenerateError`]: what the status means and what the server says of it.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::header::{HeaderMap, LOCATION, RETRY_AFTER};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use super::{Answer, Redactor};
use crate::GenerateError;

/// The most bytes of a refusal that are read, and the longest time they are waited for.
const REASON_BYTES_MAX: usize = 64 * 1024;
const REASON_WAIT: Duration = Duration::from_secs(2);
/// What Anthropic answers, and a few beside it, while there are too many requests of everybody's.
const OVERLOADED: u16 = 529;

/// Reads the reason of a refusal. `model` is what was asked for.
pub(crate) async fn refusal(answer: Answer, model: &str, redactor: &Redactor) -> GenerateError {
    let Answer { status, headers, mut body } = answer;
    let mut text = Vec::new();
    // What came in time is the reason.
    let read = timeout(REASON_WAIT, body.read_beginning(REASON_BYTES_MAX, &mut text)).await;
    tracing::debug!(status = status.as_u16(), bytes = text.len(), whole = read.is_ok(), "upstream refused");
    let reason = redactor.shown(&reason(&text));
    blame(status, &headers, reason, model)
}

/// What a status other than 200 means.
pub(crate) fn blame(status: StatusCode, headers: &HeaderMap, reason: String, model: &str) -> GenerateError {
    let reason = if reason.is_empty() { said(status) } else { reason };
    let retry_after = || retry_after(headers, SystemTime::now());
    match status.as_u16() {
        300..=399 => {
            let to = headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("nowhere");
            let to = Redactor::default().shown(to);
            GenerateError::Unavailable(format!("redirects ({}) to {to}, which is not followed", said(status)))
        }
        401 | 403 => GenerateError::RefusedCredentials,
        404 => GenerateError::ModelNotFound(model.to_owned()),
        429 | OVERLOADED => GenerateError::Busy { reason, retry_after: retry_after() },
        503 if headers.contains_key(RETRY_AFTER) => {
            GenerateError::Busy { reason, retry_after: retry_after() }
        }
        // An account without credit is of the lane, not of the request: see docs/adr/0009.
        402 | 408 => GenerateError::Unavailable(format!("{}: {reason}", said(status))),
        400..=499 => GenerateError::InvalidRequest(reason),
        500..=599 if reason != said(status) => {
            GenerateError::Unavailable(format!("{}: {reason}", said(status)))
        }
        _ => GenerateError::Unavailable(said(status)),
    }
}

/// `503 service unavailable`
fn said(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(name) => format!("{} {}", status.as_u16(), name.to_lowercase()),
        None => format!("status {}", status.as_u16()),
    }
}

/// What a refusal says, in whichever of the usual shapes: `{"error":{"message":…}}`, `{"error":…}`, `{"message":…}`,
/// `{"detail":…}`, or plain text. A page of HTML says nothing.
fn reason(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: Option<Value>,
        message: Option<Value>,
        detail: Option<Value>,
    }
    let text = || String::from_utf8_lossy(body);
    let Ok(Refusal { error, message, detail }) = serde_json::from_slice(body) else {
        return if text().trim_start().starts_with('<') { String::new() } else { text().into_owned() };
    };
    let nested = error.as_ref().and_then(|error| error.get("message")).cloned();
    match nested.or(message).or(error).or(detail) {
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
        None => text().into_owned(),
    }
}

/// How long to wait, from seconds or from a date in any of the three forms that a client has to understand (RFC 9110,
/// sections 10.2.3 and 5.6.7). A date that has passed is no time.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    Some(httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests;

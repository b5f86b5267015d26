//! Bodies of requests: no longer than they may be, and one message each.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Answer, answers};

/// A body that is not passed on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("a body has at most {0} bytes")]
    TooLong(usize),
    #[error("the body ended early: {0}")]
    Cut(#[source] hyper::Error),
    #[error("a body is one message: batches are not taken")]
    Batch,
    #[error("the body is not JSON: {0}")]
    NotJson(#[source] serde_json::Error),
    #[error("the body is not a message of JSON-RPC 2.0")]
    NotRpc,
}

/// As much of a message as tells whether it is one.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    jsonrpc: Option<std::borrow::Cow<'a, str>>,
    method: Option<IgnoredAny>,
    result: Option<IgnoredAny>,
    error: Option<IgnoredAny>,
}

/// Reads a body whole.
///
/// # Errors
/// [`Refusal`].
pub(super) async fn read(
    mut body: Incoming,
    headers: &HeaderMap,
    bytes_max: usize,
) -> Result<Bytes, Refusal> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(Refusal::TooLong(bytes_max));
    }
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Refusal::Cut)?.into_data() else { continue };
        if data.len() > bytes_max - read.len() {
            return Err(Refusal::TooLong(bytes_max));
        }
        read.extend_from_slice(&data);
    }
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("application/json"));
    if is_json {
        check(&read)?;
    }
    Ok(read.freeze())
}

/// What is not said to be JSON is left for rmcp to refuse.
fn check(body: &[u8]) -> Result<(), Refusal> {
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(Refusal::Batch);
    }
    let envelope: Envelope<'_> = match serde_json::from_slice(body) {
        Ok(envelope) => envelope,
        Err(error) if error.is_data() => return Err(Refusal::NotRpc),
        Err(error) => return Err(Refusal::NotJson(error)),
    };
    let says_something = envelope.method.is_some() || envelope.result.is_some() || envelope.error.is_some();
    if envelope.jsonrpc.as_deref() == Some("2.0") && says_something { Ok(()) } else { Err(Refusal::NotRpc) }
}

impl Refusal {
    pub(super) fn into_answer(self) -> Answer {
        let message = self.to_string();
        match self {
            Self::TooLong(_) => {
                let mut answer = answers::error(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", &message);
                // The rest of it is not read.
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                answer
            }
            Self::Cut(_) => answers::error(StatusCode::BAD_REQUEST, "bad_request", &message),
            Self::NotJson(_) => answers::rpc_error(StatusCode::BAD_REQUEST, -32700, &message),
            Self::Batch | Self::NotRpc => answers::rpc_error(StatusCode::BAD_REQUEST, -32600, &message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(body: &str) -> String {
        check(body.as_bytes()).map_or_else(|refusal| refusal.to_string(), |()| "taken".to_owned())
    }

    #[test]
    fn a_body_is_one_message_of_json_rpc() {
        assert_eq!(refused(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#), "taken");
        assert_eq!(refused(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), "taken");
        assert_eq!(refused(" [{}]"), "a body is one message: batches are not taken");
        assert_eq!(refused(r#"{"id":1,"method":"ping"}"#), "the body is not a message of JSON-RPC 2.0");
        assert_eq!(refused(r#"{"jsonrpc":"2.0"}"#), "the body is not a message of JSON-RPC 2.0");
        assert_eq!(refused("7"), "the body is not a message of JSON-RPC 2.0");
        assert!(refused("{").starts_with("the body is not JSON: "));
        assert!(refused("").starts_with("the body is not JSON: "));
    }
}

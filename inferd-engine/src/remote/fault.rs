//! An error in the place of an answer or in the middle of one. It came with the status 200, but may name the one it
//! should have had, or its kind.

use http::StatusCode;
use http::header::HeaderMap;
use serde::Deserialize;

use super::Text;
use crate::GenerateError;
use crate::http::{Redactor, blame};

/// An object, or just a text.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Fault<'a> {
    Object {
        #[serde(borrow)]
        message: Option<Text<'a>>,
        #[serde(borrow)]
        r#type: Option<Text<'a>>,
        code: Option<serde_json::Value>,
    },
    #[serde(borrow)]
    Text(Text<'a>),
}

impl Fault<'_> {
    /// What it means where `model` was asked for.
    pub(crate) fn meaning(self, model: &str, redactor: &Redactor) -> GenerateError {
        let (message, kind, code) = match self {
            Fault::Object { message, r#type, code } => (message, r#type, code),
            Fault::Text(text) => (Some(text), None, None),
        };
        let reason = redactor.shown(message.as_ref().map_or("an error without a message", |text| &text.0));
        let status = code
            .and_then(|code| u16::try_from(code.as_u64()?).ok())
            .or_else(|| status_of(&kind?.0))
            .and_then(|status| StatusCode::from_u16(status).ok())
            .filter(|status| status.is_client_error() || status.is_server_error());
        match status {
            Some(status) => blame(status, &HeaderMap::new(), reason, model),
            None => GenerateError::Unavailable(reason),
        }
    }
}

/// The status that goes with a kind of error, where the kind says more than that something failed.
fn status_of(kind: &str) -> Option<u16> {
    Some(match kind {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" | "insufficient_quota" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" | "rate_limit_exceeded" => 429,
        "overloaded_error" => 529,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: &str, expected: &GenerateError) {
        let fault: Fault<'_> = serde_json::from_str(error).unwrap();
        assert_eq!(fault.meaning("m", &Redactor::default()), *expected, "{error}");
    }

    #[test]
    fn a_kind_or_a_status_says_whose_fault_it_is() {
        let invalid = GenerateError::InvalidRequest("why".into());
        let busy = GenerateError::Busy { reason: "why".into(), retry_after: None };
        for kind in ["invalid_request_error", "request_too_large"] {
            check(&format!(r#"{{"type":"{kind}","message":"why"}}"#), &invalid);
        }
        for kind in ["rate_limit_error", "rate_limit_exceeded", "overloaded_error"] {
            check(&format!(r#"{{"type":"{kind}","message":"why"}}"#), &busy);
        }
        for kind in ["authentication_error", "permission_error"] {
            check(&format!(r#"{{"type":"{kind}","message":"why"}}"#), &GenerateError::RefusedCredentials);
        }
        check(r#"{"type":"not_found_error"}"#, &GenerateError::ModelNotFound("m".into()));
        check(r#"{"code":429,"type":"invalid_request_error","message":"why"}"#, &busy);
    }

    #[test]
    fn anything_else_is_a_failure_of_the_server() {
        let unavailable = |why: &str| GenerateError::Unavailable(why.into());
        for kind in ["api_error", "timeout_error", "server_error", "never_heard_of"] {
            check(&format!(r#"{{"type":"{kind}","message":"why"}}"#), &unavailable("why"));
        }
        check(r#"{"code":200,"message":"why"}"#, &unavailable("why"));
        check(r#"{"code":"context_lost","message":"why"}"#, &unavailable("why"));
        check(r#"{"type":"billing_error","message":"why"}"#, &unavailable("402 payment required: why"));
        check(r#""why""#, &unavailable("why"));
        check("{}", &unavailable("an error without a message"));
    }
}

//! How it fails where the protocol has its own way of saying so. What all engines have in common is in `faults`.

use super::*;

/// An event that says what went wrong.
fn error(kind: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": format!("because, {KEY}")}, "request_id": "req_1"})
}

fn expected(kind: &str) -> GenerateError {
    let because = "because, …".to_owned();
    match kind {
        "overloaded_error" | "rate_limit_error" => GenerateError::Busy { reason: because, retry_after: None },
        "authentication_error" | "permission_error" => GenerateError::RefusedCredentials,
        "not_found_error" => GenerateError::ModelNotFound("m".into()),
        "invalid_request_error" | "request_too_large" => GenerateError::InvalidRequest(because),
        "billing_error" => GenerateError::Unavailable(format!("402 payment required: {because}")),
        _ => GenerateError::Unavailable(because),
    }
}

const KINDS: [&str; 10] = [
    "overloaded_error",
    "rate_limit_error",
    "authentication_error",
    "permission_error",
    "not_found_error",
    "invalid_request_error",
    "request_too_large",
    "billing_error",
    "api_error",
    "timeout_error",
];

#[tokio::test]
async fn an_error_in_the_stream_ends_it_and_its_kind_says_whose_fault_it_is() {
    for kind in KINDS {
        let failed = TokenEvent::Failed(expected(kind));
        assert_eq!(events(stream([error(kind)])).await, std::slice::from_ref(&failed), "{kind}");
        let middle = events(stream([start(), says("a"), error(kind), says("b"), stop()])).await;
        assert_eq!(middle, [token("a"), failed], "{kind}");
    }
}

#[tokio::test]
async fn an_error_in_the_place_of_a_whole_answer_is_no_answer() {
    for kind in KINDS {
        let events = events(Reply::json(200, &error(kind))).await;
        assert_eq!(events, [TokenEvent::Failed(expected(kind))], "{kind}");
    }
}

#[tokio::test]
async fn an_error_without_a_type_as_gateways_write_it_is_understood() {
    for (error, expected) in [
        (
            json!({"error": {"message": "no", "code": 429}}),
            GenerateError::Busy { reason: "no".into(), retry_after: None },
        ),
        (json!({"error": "lost the GPU"}), GenerateError::Unavailable("lost the GPU".into())),
        (
            json!({"type": "error", "error": {}}),
            GenerateError::Unavailable("an error without a message".into()),
        ),
    ] {
        assert_eq!(events(stream([start(), error])).await, [TokenEvent::Failed(expected)]);
    }
}

#[tokio::test]
async fn a_refused_answer_keeps_what_was_said_and_does_not_pass_for_a_whole_one() {
    let refused = json!({"type": "message_delta", "delta": {
        "stop_reason": "refusal", "stop_details": {"type": "refusal", "category": "bio", "explanation": "no"}
    }, "usage": {"output_tokens": 5}});
    let events = events(stream([start(), says("half"), refused, stop()])).await;
    assert_eq!(events, [token("half"), done(StopReason::Error, 7, 5)]);
}

#[tokio::test]
async fn tool_calls_without_end_are_cut_off() {
    let uses =
        |at: usize| block(at, &json!({"type": "tool_use", "id": format!("t{at}"), "name": "f", "input": {}}));
    let events = events(stream((0..200).map(uses))).await;
    let expected = GenerateError::Unavailable("the model's tool calls have no end".into());
    assert_eq!(events, [TokenEvent::Failed(expected)]);
}

//! A client's line, read, resolved, written and read again.

use serde_json::Value;

use crate::{ClientFrame, ErrorCode, ProtoError, Rejected, Request};

/// The longest a message about a line may be, in characters, however long the line.
const MESSAGE_CHARS_MAX: usize = 501;

/// Reads any bytes as a client's line.
pub fn request(line: &[u8]) {
    match ClientFrame::parse(line) {
        Ok(ClientFrame::Request(request)) => read_again(*request),
        Ok(ClientFrame::Tools(request)) => request.check().unwrap_or_else(|error| check_message(&error)),
        Ok(ClientFrame::Call(request)) => request.check().unwrap_or_else(|error| check_message(&error)),
        Ok(_) => {}
        Err(Rejected { id, error }) => {
            check_message(&error);
            if let Ok(Value::Object(fields)) = serde_json::from_slice(line) {
                assert_eq!(id, fields.get("id").and_then(Value::as_str).unwrap_or_default(), "the line's id");
            }
        }
    }
}

/// What the request is written as means what it meant.
fn read_again(request: Request) {
    let line = serde_json::to_vec(&request).expect("what was read can be written");
    let again = ClientFrame::parse(&line).expect("what was written can be read");
    assert_eq!(again, ClientFrame::Request(Box::new(request.clone())));

    let cut = ClientFrame::parse(&line[..line.len() - 1]).expect_err("a line cut short is no frame");
    assert_eq!(cut.id, request.id, "the id of a line cut short");
    match request.resolve() {
        Ok(resolved) => assert_eq!(resolved.id, cut.id),
        Err(error) => check_message(&error),
    }
}

fn check_message(error: &ProtoError) {
    let message = error.to_string();
    assert!(message.chars().count() <= MESSAGE_CHARS_MAX, "a message of {} bytes", message.len());
    assert!(!message.is_empty());
    assert_eq!(error.to_error_code(), ErrorCode::InvalidRequest);
}

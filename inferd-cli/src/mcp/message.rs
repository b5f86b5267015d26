//! What is on a line, as far as it has to be known to pass it on.

use serde_json::{Value, json};

/// The key under which a request of 2026-07-28 says its version; whoever says it has no session.
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// A message of the client.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) line: String,
    value: Value,
}

/// What has to be done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It begins a session.
    Initialize,
    /// It is answered.
    Request,
    /// It is not.
    Note,
}

impl Message {
    /// Reads a line.
    ///
    /// # Errors
    /// The line that the client is told instead: it is no message.
    pub(super) fn read(line: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(line)
            .map_err(|error| failure(&Value::Null, -32700, &format!("not a line of JSON: {error}")))?;
        if !value.is_object() {
            return Err(failure(&Value::Null, -32600, "expected one message on each line"));
        }
        Ok(Self { line: String::from_utf8_lossy(line).into_owned(), value })
    }

    pub(super) fn kind(&self) -> Kind {
        match (self.value["method"].as_str(), self.value.get("id")) {
            (Some("initialize"), Some(_)) => Kind::Initialize,
            (Some(_), Some(_)) => Kind::Request,
            _ => Kind::Note,
        }
    }

    pub(super) fn id(&self) -> &Value {
        &self.value["id"]
    }

    pub(super) fn method(&self) -> Option<&str> {
        self.value["method"].as_str()
    }

    /// What is called, got or read.
    pub(super) fn name(&self) -> Option<&str> {
        let params = &self.value["params"];
        params["name"].as_str().or_else(|| params["uri"].as_str())
    }

    /// The version that it says itself.
    pub(super) fn version(&self) -> Option<&str> {
        self.value["params"]["_meta"][VERSION].as_str()
    }

    /// The request that it cancels.
    pub(super) fn cancels(&self) -> Option<&Value> {
        let cancels = self.method() == Some("notifications/cancelled");
        cancels.then(|| &self.value["params"]["requestId"])
    }

    pub(super) fn is_initialized(&self) -> bool {
        self.method() == Some("notifications/initialized")
    }

    /// Whether `value` is its answer.
    pub(super) fn is_answered_by(&self, value: &Value) -> bool {
        value["method"].is_null() && value["id"] == self.value["id"]
    }
}

/// The line of an error.
pub(super) fn failure(id: &Value, code: i64, message: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Message {
        Message::read(line.as_bytes()).unwrap()
    }

    #[test]
    fn a_line_is_told_apart_by_method_and_id() {
        for (line, kind) in [
            (r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}"#, Kind::Initialize),
            (r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#, Kind::Request),
            (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, Kind::Note),
            (r#"{"jsonrpc":"2.0","id":4,"result":{}}"#, Kind::Note),
        ] {
            assert_eq!(read(line).kind(), kind, "{line}");
        }
    }

    #[test]
    fn what_is_no_message_is_answered_as_such() {
        for line in ["{", "[]", "3"] {
            let told: Value = serde_json::from_str(&Message::read(line.as_bytes()).unwrap_err()).unwrap();
            assert!(told["id"].is_null() && told["error"]["code"].is_i64(), "{line}: {told}");
        }
    }

    #[test]
    fn a_request_of_the_client_is_not_answered_by_one_of_the_daemon_with_its_id() {
        let asked = read(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
        assert!(asked.is_answered_by(&json!({ "id": 1, "result": {} })));
        assert!(asked.is_answered_by(&json!({ "id": 1, "error": {} })));
        assert!(!asked.is_answered_by(&json!({ "id": 1, "method": "sampling/createMessage" })));
        assert!(!asked.is_answered_by(&json!({ "id": 2, "result": {} })));
    }
}

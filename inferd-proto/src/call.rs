//! A call of one tool: one request, `status` frames where they are wanted, one result.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ProtoError;

/// The longest a tool's name may be in a call, in bytes.
pub const TOOL_NAME_BYTES_MAX: usize = 512;

/// Calls a tool of a server.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CallRequest {
    /// Echoed on every frame that answers; `cancel` names it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The tool: `server::tool`, or `server__tool` as MCP clients spell it. 1 to [`TOOL_NAME_BYTES_MAX`] bytes.
    pub tool: String,
    /// Its arguments; none is `{}`.
    #[serde(default)]
    pub arguments: Map<String, Value>,
    /// Whether `status` frames are wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<bool>,
    /// Longest time from receipt to the terminal frame, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
}

impl CallRequest {
    /// Checks every rule of the request and names the field that breaks one.
    ///
    /// # Errors
    /// [`ProtoError::InvalidRequest`] naming the field and what was expected.
    pub fn check(&self) -> Result<(), ProtoError> {
        if (1..=TOOL_NAME_BYTES_MAX).contains(&self.tool.len()) {
            return Ok(());
        }
        Err(ProtoError::InvalidRequest(format!(
            "tool: expected a name of 1 to {TOOL_NAME_BYTES_MAX} bytes, got {}",
            self.tool.len()
        )))
    }

    /// Longest time from receipt to the terminal frame.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline_ms.map(Duration::from_millis)
    }
}

/// The result of a [`CallRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "called")]
pub struct Called {
    /// The request's id.
    pub id: String,
    /// The tool, spelt `server::tool`.
    pub tool: String,
    /// What it returned: content blocks as the Model Context Protocol defines them, in their order.
    pub content: Vec<Value>,
    /// The result in the shape of the tool's output schema, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<Value>,
    /// The tool ran and says that it failed; `content` tells why.
    pub is_error: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_named_in_a_bounded_text() {
        let checked = |bytes: usize| {
            let request = CallRequest { tool: "t".repeat(bytes), ..CallRequest::default() };
            request.check().map_err(|error| error.to_string())
        };
        assert_eq!((checked(1), checked(TOOL_NAME_BYTES_MAX)), (Ok(()), Ok(())));
        assert_eq!(checked(0), Err("tool: expected a name of 1 to 512 bytes, got 0".to_owned()));
        assert_eq!(checked(513), Err("tool: expected a name of 1 to 512 bytes, got 513".to_owned()));
    }
}

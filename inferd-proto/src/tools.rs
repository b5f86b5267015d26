//! The tools of all servers in one list: one request, one frame.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ProtoError;
use crate::agent::check_server;

/// Asks which tools there are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ToolsRequest {
    /// Echoed on the answer.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Only the tools of this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

impl ToolsRequest {
    /// Checks every rule of the request and names the field that breaks one.
    ///
    /// # Errors
    /// [`ProtoError::InvalidRequest`] naming the field and what was expected.
    pub fn check(&self) -> Result<(), ProtoError> {
        check_server("server", self.server.as_deref())
    }
}

/// The answer to a [`ToolsRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "tools")]
pub struct Tools {
    /// The request's id.
    pub id: String,
    /// The tools, sorted by name.
    pub tools: Vec<ServerTool>,
    /// Servers that should be in the list and are not, or not as they are now.
    #[serde(default)]
    pub warnings: Vec<Warning>,
}

/// A tool of a server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerTool {
    /// Its name as calls give it: `server::tool`.
    pub name: String,
    /// The server it is on.
    pub server: String,
    /// What it does, in the server's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    pub input_schema: Value,
    /// Its server does not answer: this is what was known last, and a call fails at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
}

/// Why a list is not whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The server this is about.
    pub server: String,
    /// What is wrong with it. Carries no secret and no path.
    pub message: String,
}

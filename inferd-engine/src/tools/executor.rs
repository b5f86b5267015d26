//! What runs a tool: a call of it enters, its result leaves.

use async_trait::async_trait;
use inferd_proto::Body;
use serde_json::{Map, Value};

use super::error::ToolError;
use super::progress::Progress;

/// One call of a tool.
#[derive(Debug, Clone, Default)]
pub struct ToolInvocation {
    /// What it is called with.
    pub arguments: Map<String, Value>,
    /// Where it says how far it has come.
    pub progress: Progress,
}

impl From<Map<String, Value>> for ToolInvocation {
    /// A call that nobody watches.
    fn from(arguments: Map<String, Value>) -> Self {
        Self { arguments, progress: Progress::unwatched() }
    }
}

/// What a call came to, as the model is to read it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolOutput {
    /// Text, or text and images.
    pub body: Body,
    /// The tool itself says that it failed.
    pub is_error: bool,
}

impl From<Body> for ToolOutput {
    fn from(body: Body) -> Self {
        Self { body, is_error: false }
    }
}

impl From<String> for ToolOutput {
    fn from(text: String) -> Self {
        Body::Text(text).into()
    }
}

impl From<&str> for ToolOutput {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// Runs a tool. Shared by all calls of it; an async closure `|call: ToolInvocation| async { … }` is one.
#[async_trait]
pub trait ToolExecutor: Send + Sync {
    /// Runs it once. Dropping the future cancels the call, down to whatever it waits for.
    ///
    /// # Errors
    /// [`ToolError`], whose text a model is shown in the result's place.
    async fn execute(&self, call: ToolInvocation) -> Result<ToolOutput, ToolError>;
}

#[async_trait]
impl<F, Fut> ToolExecutor for F
where
    F: Fn(ToolInvocation) -> Fut + Send + Sync,
    Fut: Future<Output = Result<ToolOutput, ToolError>> + Send,
{
    async fn execute(&self, call: ToolInvocation) -> Result<ToolOutput, ToolError> {
        self(call).await
    }
}

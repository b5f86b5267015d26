//! One tool: what a model reads of it, and what runs it.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::error::ToolError;
use super::executor::{ToolExecutor, ToolInvocation, ToolOutput};

/// See the module. Clones share all of it.
#[derive(Clone)]
pub struct ClientTool {
    name: Arc<str>,
    description: Arc<str>,
    schema: Arc<Map<String, Value>>,
    executor: Arc<dyn ToolExecutor>,
}

impl ClientTool {
    /// A tool named `name` that takes what `schema`, a JSON Schema of an object, describes.
    #[must_use]
    pub fn new(
        name: impl Into<Arc<str>>,
        description: impl Into<Arc<str>>,
        schema: Map<String, Value>,
        executor: impl ToolExecutor + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
            schema: Arc::new(schema),
            executor: Arc::new(executor),
        }
    }

    /// The same tool under another name; it runs where it ran.
    #[must_use]
    pub fn renamed(&self, name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), ..self.clone() }
    }

    /// What it is called by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it does, for a model to read; may be empty.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The JSON Schema of its arguments.
    #[must_use]
    pub fn schema(&self) -> &Map<String, Value> {
        &self.schema
    }

    /// Runs it. Arguments are not held against the schema here; the tool's owner does that.
    ///
    /// # Errors
    /// [`ToolError`]: the executor's.
    pub async fn execute(&self, call: ToolInvocation) -> Result<ToolOutput, ToolError> {
        self.executor.execute(call).await
    }
}

impl fmt::Debug for ClientTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTool").field("name", &self.name).finish_non_exhaustive()
    }
}

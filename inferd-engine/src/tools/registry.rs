//! A set of tools with unique names.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::ToolError;
use super::executor::{ToolInvocation, ToolOutput};
use super::tool::ClientTool;

/// See the module. Immutable: clones are cheap and share the tools.
#[derive(Debug, Clone, Default)]
pub struct ToolRegistry(Arc<BTreeMap<Arc<str>, ClientTool>>);

impl ToolRegistry {
    /// One without tools.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One of all these.
    ///
    /// # Errors
    /// [`ToolError::Duplicate`] where two have one name.
    pub fn from_tools(tools: impl IntoIterator<Item = ClientTool>) -> Result<Self, ToolError> {
        let mut registry = BTreeMap::new();
        for tool in tools {
            insert(&mut registry, tool)?;
        }
        Ok(Self(Arc::new(registry)))
    }

    /// A new registry of these tools and `tool`; this one stays as it is. For many at once
    /// [`from_tools`](Self::from_tools) is cheaper.
    ///
    /// # Errors
    /// [`ToolError::Duplicate`] where there is one of that name.
    pub fn register(&self, tool: ClientTool) -> Result<Self, ToolError> {
        let mut registry = (*self.0).clone();
        insert(&mut registry, tool)?;
        Ok(Self(Arc::new(registry)))
    }

    /// A new registry of those tools whose name `wanted` holds for.
    #[must_use]
    pub fn filtered(&self, mut wanted: impl FnMut(&str) -> bool) -> Self {
        let kept = self.0.iter().filter(|(name, _)| wanted(name));
        Self(Arc::new(kept.map(|(name, tool)| (Arc::clone(name), tool.clone())).collect()))
    }

    /// The tool of this name.
    #[must_use]
    pub fn lookup(&self, name: &str) -> Option<&ClientTool> {
        self.0.get(name)
    }

    /// All tools, sorted by name.
    #[must_use]
    pub fn tools(&self) -> impl ExactSizeIterator<Item = &ClientTool> {
        self.0.values()
    }

    /// All names, sorted.
    #[must_use]
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.keys().map(|name| &**name)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Runs the tool of this name.
    ///
    /// # Errors
    /// [`ToolError::Unknown`] where there is none, else the tool's own.
    pub async fn execute(&self, name: &str, call: ToolInvocation) -> Result<ToolOutput, ToolError> {
        let tool = self.lookup(name).ok_or_else(|| ToolError::Unknown(name.to_owned()))?;
        tool.execute(call).await
    }
}

fn insert(registry: &mut BTreeMap<Arc<str>, ClientTool>, tool: ClientTool) -> Result<(), ToolError> {
    let name: Arc<str> = tool.name().into();
    if registry.contains_key(&name) {
        return Err(ToolError::Duplicate(name.to_string()));
    }
    registry.insert(name, tool);
    Ok(())
}

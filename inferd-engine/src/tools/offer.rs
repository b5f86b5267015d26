//! A registry as a model sees it.
//!
//! Invariant: what a model calls a tool by leads to exactly one tool, or to none.

use std::collections::HashMap;

use inferd_proto::{Function, Tool};
use serde_json::Value;

use super::error::ToolError;
use super::names::portable_name;
use super::registry::ToolRegistry;
use super::tool::ClientTool;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Offer {
    registry: ToolRegistry,
    by_portable: HashMap<String, String>,
    tools: Vec<Tool>,
}

impl Offer {
    /// Offers all tools of `registry`.
    ///
    /// # Errors
    /// [`ToolError::Collision`] where two would have one name before the model.
    pub fn new(registry: ToolRegistry) -> Result<Self, ToolError> {
        let mut by_portable = HashMap::with_capacity(registry.len());
        let mut tools = Vec::with_capacity(registry.len());
        for tool in registry.tools() {
            let portable = portable_name(tool.name());
            if let Some(one) = by_portable.insert(portable.clone(), tool.name().to_owned()) {
                return Err(ToolError::Collision { one, other: tool.name().to_owned(), portable });
            }
            tools.push(described(tool, portable));
        }
        Ok(Self { registry, by_portable, tools })
    }

    /// The tools, as a request carries them.
    #[must_use]
    pub fn tools(&self) -> &[Tool] {
        &self.tools
    }

    /// The tool that `name` stands for in either spelling, `server::tool` or `server__tool`.
    #[must_use]
    pub fn lookup(&self, name: &str) -> Option<&ClientTool> {
        let of_portable = || self.registry.lookup(self.by_portable.get(name)?);
        self.registry.lookup(name).or_else(of_portable)
    }
}

fn described(tool: &ClientTool, name: String) -> Tool {
    let mut schema = tool.schema().clone();
    // Model APIs refuse a whole request for one schema that does not say so.
    schema.entry("type").or_insert_with(|| "object".into());
    let description = Some(tool.description()).filter(|text| !text.is_empty()).map(str::to_owned);
    Tool::Function {
        function: Function { name, description, parameters: Some(Value::Object(schema)), strict: None },
    }
}

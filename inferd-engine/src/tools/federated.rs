//! The tools of many servers as one set.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::registry::ToolRegistry;
use super::tool::ClientTool;
use crate::servers::ServerId;

/// Stands between a server and its tool. No server's id holds it, so a name has one owner.
pub const SEPARATOR: &str = "::";

/// What `tool` of `server` is called among the tools of all servers.
#[must_use]
pub fn federated_name(server: &ServerId, tool: &str) -> String {
    format!("{server}{SEPARATOR}{tool}")
}

/// Every tool as `server::tool`, also where there is only one server.
#[derive(Debug, Clone, Default)]
pub struct FederatedToolRegistry {
    tools: ToolRegistry,
    owners: Arc<BTreeMap<String, ServerId>>,
}

impl FederatedToolRegistry {
    /// The tools of all these servers.
    #[must_use]
    pub fn merge(registries: BTreeMap<ServerId, ToolRegistry>) -> Self {
        let mut owners = BTreeMap::new();
        let mut tools = Vec::new();
        for (server, registry) in registries {
            for tool in registry.tools() {
                let name = federated_name(&server, tool.name());
                tools.push(tool.renamed(name.as_str()));
                owners.insert(name, server.clone());
            }
        }
        Self { tools: all_of(tools), owners: Arc::new(owners) }
    }

    /// All of them as one registry. What is called through it runs on its owner.
    #[must_use]
    pub fn to_tool_registry(&self) -> ToolRegistry {
        self.tools.clone()
    }

    /// The server that has the tool of this name, `server::tool`.
    #[must_use]
    pub fn server_id_for(&self, name: &str) -> Option<&ServerId> {
        self.owners.get(name)
    }
}

fn all_of(tools: Vec<ClientTool>) -> ToolRegistry {
    ToolRegistry::from_tools(tools).expect("servers differ, and so do the tools of each")
}

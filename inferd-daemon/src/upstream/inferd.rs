//! Another daemon of ours as a server: the tools that it gathers, over the frames that list and call them.
//!
//! Invariants:
//! - Tools that it has of a third daemon are not offered: two daemons that know each other would list each other for ever.
//! - It is shown the key configured for it, first, and nobody else's.

mod wire;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use inferd_proto::{Called, DaemonFrame, ServerInfo, Servers, Tools};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::Wanted;
use super::session::{Ask, Connect, Fault, List, Progress, Session};
use crate::config::Reach;
use wire::Wire;

/// What a daemon that has servers says of itself.
const FEATURE: &str = "servers";

/// Connects to one daemon, any number of times.
pub(super) struct Connector {
    id: String,
    address: String,
    key: Option<SecretString>,
}

impl Connector {
    /// `None` for a server that is no daemon.
    pub(super) fn new(wanted: &Wanted) -> Option<Self> {
        let Reach::Inferd { address, .. } = &wanted.config.reach else { return None };
        Some(Self { id: wanted.config.id.clone(), address: address.clone(), key: wanted.key.clone() })
    }
}

#[async_trait]
impl Connect for Connector {
    async fn connect(&self) -> Result<Arc<dyn Session>, String> {
        let (wire, hello) = Wire::open(&self.address, self.key.as_ref()).await?;
        let has_servers = hello.features.iter().any(|feature| feature == FEATURE);
        let (id, seen) = (self.id.clone(), watch::Sender::default());
        Ok(Arc::new(Daemon { id, wire, has_servers, seen, changes: watch::Sender::new(0) }))
    }
}

/// A connected daemon.
struct Daemon {
    id: String,
    wire: Wire,
    has_servers: bool,
    /// Its servers when they were last asked for: what tells that their tools may be others now.
    seen: watch::Sender<Option<Vec<Seen>>>,
    changes: watch::Sender<u64>,
}

/// A server of its own: its id, its state, and how many tools it has.
type Seen = (String, &'static str, usize);

impl Daemon {
    async fn servers(&self) -> Result<Vec<ServerInfo>, Fault> {
        match self.wire.ask(json!({ "type": "servers" }), None).await? {
            DaemonFrame::Servers(Servers { servers, .. }) => Ok(servers),
            other => Err(misplaced(&other)),
        }
    }

    /// Notes how its servers are; whether they were otherwise before.
    fn note(&self, servers: &[ServerInfo]) -> bool {
        let now: Vec<Seen> = servers
            .iter()
            .map(|server| (server.server.clone(), server.state.as_str(), server.tools))
            .collect();
        let before = self.seen.send_replace(Some(now.clone()));
        before.is_some_and(|before| before != now)
    }

    async fn tools(&self) -> Result<Value, Fault> {
        let servers = self.servers().await?;
        self.note(&servers);
        let daemons: HashSet<&str> =
            servers.iter().filter(|server| server.kind == "inferd").map(|server| &*server.server).collect();
        let tools = match self.wire.ask(json!({ "type": "tools" }), None).await? {
            DaemonFrame::Tools(Tools { tools, .. }) => tools,
            other => return Err(misplaced(&other)),
        };
        let offered = tools.into_iter().filter(|tool| !tool.stale && !daemons.contains(&*tool.server));
        let entries = offered.map(|tool| {
            let mut entry = json!({ "name": tool.name, "inputSchema": tool.input_schema });
            if let Some(description) = tool.description {
                entry["description"] = json!(description);
            }
            entry
        });
        Ok(json!({ "tools": entries.collect::<Vec<_>>() }))
    }
}

#[async_trait]
impl Session for Daemon {
    fn has(&self, list: List) -> bool {
        list == List::Tools && self.has_servers
    }

    async fn page(&self, list: List, _cursor: Option<String>) -> Result<Value, Fault> {
        match list {
            List::Tools => self.tools().await,
            List::Resources | List::Templates | List::Prompts => Err(not_served()),
        }
    }

    async fn ask(&self, ask: Ask, progress: mpsc::Sender<Progress>) -> Result<Value, Fault> {
        let Ask::Tool { name, arguments } = ask else { return Err(not_served()) };
        let arguments = arguments.unwrap_or_default();
        let call = json!({ "type": "call", "tool": name, "arguments": arguments, "progress": true });
        match self.wire.ask(call, Some(progress)).await? {
            DaemonFrame::Called(Called { content, structured, is_error, .. }) => {
                let mut result = json!({ "content": content, "isError": is_error });
                if let Some(structured) = structured {
                    result["structuredContent"] = structured;
                }
                Ok(result)
            }
            other => Err(misplaced(&other)),
        }
    }

    async fn ping(&self) -> Result<(), Fault> {
        let servers = self.servers().await?;
        if self.note(&servers) {
            self.changes.send_modify(|changes| *changes += 1);
        }
        Ok(())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    async fn run(&self) -> String {
        self.wire.run().await
    }

    async fn close(&self) {
        // Its sockets went with the end of `run`.
    }
}

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Daemon").field("id", &self.id).finish_non_exhaustive()
    }
}

fn not_served() -> Fault {
    Fault::Refused { code: -32601, message: "a daemon has tools alone".to_owned() }
}

fn misplaced(frame: &DaemonFrame) -> Fault {
    let what = match frame {
        DaemonFrame::Response(_) => "the frame of an answer",
        DaemonFrame::Hello(_) => "a hello",
        DaemonFrame::Embeddings(_) => "vectors",
        DaemonFrame::Servers(_) => "a list of servers",
        DaemonFrame::Tools(_) => "a list of tools",
        DaemonFrame::Called(_) => "the result of a call",
    };
    Fault::Lost(format!("it answered with {what}, which was not asked for"))
}

#[cfg(test)]
mod tests;

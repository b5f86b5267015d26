//! A handler that does what a test says, and a client that speaks HTTP by hand.

mod client;

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ProgressNotificationParam,
    ServerConfig,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::{ErrorData, ServerHandler};
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::http::{Door, McpConfig};
use super::manager::Hangup;
use super::serve::{connection, door};
use super::session::SessionStore;
use crate::lifecycle::Room;
pub(super) use client::{Client, initialize, post};

/// Tools: `wait` answers once the gate lets it, `hang up` ends its connection first; `flood` tells its progress `count`
/// times; `tell` says something on the standalone stream; `ask` asks the client something.
#[derive(Debug, Clone)]
pub(super) struct Scripted {
    pub(super) gate: Arc<Semaphore>,
    /// Has a permit for each call of `wait` that was cancelled.
    pub(super) cancelled: Arc<Semaphore>,
}

impl Default for Scripted {
    fn default() -> Self {
        Self { gate: Arc::new(Semaphore::new(0)), cancelled: Arc::new(Semaphore::new(0)) }
    }
}

impl ServerHandler for Scripted {
    fn get_info(&self) -> ServerConfig {
        let info = json!({
            "protocolVersion": "2025-11-25",
            "serverInfo": { "name": "scripted", "version": "0" },
            "capabilities": { "tools": {} },
        });
        serde_json::from_value(info).unwrap()
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = call.arguments.unwrap_or_default();
        match call.name.as_ref() {
            "wait" => tokio::select! {
                pass = self.gate.acquire() => pass.unwrap().forget(),
                () = context.ct.cancelled() => self.cancelled.add_permits(1),
            },
            "hang up" => {
                context.extensions.get::<Hangup>().unwrap().hang_up();
                self.gate.acquire().await.unwrap().forget();
            }
            "ask" => {
                let ping = serde_json::from_value(json!({ "method": "ping" })).unwrap();
                context.peer.send_request(ping).await.unwrap();
            }
            "flood" => {
                let token = context.meta.get_progress_token().unwrap();
                let padding = "x"
                    .repeat(arguments.get("bytes").and_then(Value::as_u64).unwrap_or(1).try_into().unwrap());
                for done in 0..arguments["count"].as_u64().unwrap() {
                    let told =
                        ProgressNotificationParam::new(token.clone(), u32::try_from(done).unwrap().into());
                    context.peer.notify_progress(told.with_message(padding.clone())).await.unwrap();
                }
            }
            "tell" => {
                context.peer.notify_tool_list_changed().await.unwrap();
            }
            _ => {}
        }
        Ok(CallToolResult::success(vec![ContentBlock::text(call.name.clone())]).into())
    }
}

/// A door that clients in memory come to.
pub(super) struct Rig<H: ServerHandler = Scripted> {
    pub(super) sessions: SessionStore,
    pub(super) gate: Arc<Semaphore>,
    pub(super) cancelled: Arc<Semaphore>,
    pub(super) draining: CancellationToken,
    pub(super) ending: CancellationToken,
    pub(super) tasks: TaskTracker,
    door: Arc<Door<H>>,
}

impl Rig {
    pub(super) fn new(config: &McpConfig) -> Self {
        Self::of(config, SessionStore::new())
    }

    pub(super) fn of(config: &McpConfig, sessions: SessionStore) -> Self {
        let handler = Scripted::default();
        let (gate, cancelled) = (Arc::clone(&handler.gate), Arc::clone(&handler.cancelled));
        Self { gate, cancelled, ..Rig::serving(config, sessions, move || handler.clone()) }
    }
}

impl<H: ServerHandler> Rig<H> {
    /// One behind which there is another handler.
    pub(super) fn serving(
        config: &McpConfig,
        sessions: SessionStore,
        make_handler: impl Fn() -> H + Send + Sync + 'static,
    ) -> Self {
        let tasks = TaskTracker::new();
        let (draining, ending) = (CancellationToken::new(), CancellationToken::new());
        let config = watch::Sender::new(config.clone()).subscribe();
        let door = door(config, make_handler, sessions.clone(), &tasks, draining.clone(), ending.clone());
        let Scripted { gate, cancelled } = Scripted::default();
        Self { sessions, gate, cancelled, draining, ending, tasks, door: Arc::new(door) }
    }

    /// A connection of its own, of which `bytes` may be on their way at once.
    pub(super) fn connect_within(&self, bytes: usize) -> Client<DuplexStream> {
        let (near, far) = tokio::io::duplex(bytes);
        let (door, draining, ending) = (Arc::clone(&self.door), self.draining.clone(), self.ending.clone());
        self.tasks.spawn(connection(far, door, Room::new(usize::MAX), draining, ending));
        Client::new(near)
    }

    pub(super) fn connect(&self) -> Client<DuplexStream> {
        self.connect_within(64 * 1024)
    }

    /// A session of 2025-11-25, ready for calls, of who says `key` in its heads. What heads of its requests say.
    pub(super) async fn session(&self, key: &str) -> String {
        let mut client = self.connect();
        let session = initialize(&mut client, key).await.header("mcp-session-id").unwrap().to_owned();
        let head = format!("mcp-session-id: {session}\r\nmcp-protocol-version: 2025-11-25\r\n");
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(client.ask(&post(&format!("{key}{head}"), &ready)).await.status, 202);
        head
    }
}

/// A call of a tool, as a body.
pub(super) fn call(id: u64, tool: &str, arguments: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
        "name": tool, "arguments": arguments, "_meta": { "progressToken": id },
    }})
}

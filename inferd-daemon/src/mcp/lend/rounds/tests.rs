//! Clients of 2026-07-28 over connections in memory, on a paused clock, and callers at the pool.

use std::sync::Arc;

use inferd_engine::sampling::{CreateMessageResult, SamplingClient, SamplingError};
use inferd_proto::Caller;
use rmcp::model::SamplingMessage;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::*;
use crate::agent::Agents;
use crate::audit::Audit;
use crate::lifecycle::{Identity, Terms};
use crate::mcp::handler::{Desk, Handler};
use crate::mcp::http::McpConfig;
use crate::mcp::lend::Lending;
use crate::mcp::own_menu;
use crate::mcp::scripted::{Rig, post};
use crate::mcp::session::SessionStore;
use crate::queue::Admission;
use crate::router::Router;
use crate::secrets::Keys;
use crate::service::{ConnectionLimits, Service, Stop};

mod answering;
mod leaving;
mod states;

type Answered = Result<CreateMessageResult, SamplingError>;

/// A door with the tool, and the pool behind it.
struct Booth {
    rig: Rig<Handler>,
    pool: Pool,
    stop: Stop,
}

/// Who comes with the key of this name.
const ONE: &str = "authorization: Bearer 1\r\n";
const TWO: &str = "authorization: Bearer 2\r\n";

impl Booth {
    fn new() -> Self {
        let (pool, stop) = (Pool::default(), Stop::default());
        let service = Arc::new(Service {
            gate: Admission::new(4, 4),
            router: Arc::new(Router::new(Vec::<Arc<dyn inferd_engine::Backend>>::new())),
            limits: ConnectionLimits::default(),
            stop: stop.clone(),
            audit: Audit::off(),
            agents: Agents::alone(),
        });
        let terms = Terms { service, keys: None, identity: Identity::default() };
        let desk = Desk::new(
            watch::Sender::new(terms).subscribe(),
            own_menu(),
            TaskTracker::new(),
            Instant::now(),
            Lending::new(pool.clone(), watch::Sender::new(false).subscribe()),
        );
        let keys = Some(Arc::new(Keys::several(&[("one", "1"), ("two", "2")])));
        let config = McpConfig { keys, ..McpConfig::default() };
        let rig = Rig::serving(&config, SessionStore::new(), move || Handler::new(Arc::clone(&desk)));
        Self { rig, pool, stop }
    }

    /// Calls the tool with `more` in its parameters, over a connection of its own; the whole answer.
    fn lend(&self, key: &str, more: &Value) -> impl Future<Output = Value> + Send + use<> {
        let (mut client, request) = (self.rig.connect(), request(key, more));
        async move {
            let reply = client.ask(&request).await;
            match reply.events().pop() {
                Some(event) => event.json(),
                None => reply.json(),
            }
        }
    }

    /// A call of the tool that is served in the background.
    async fn lends(&self, key: &str, more: &Value) -> AbortOnDropHandle<Value> {
        let before = present(&self.pool);
        let lending = spawn(self.lend(key, more));
        if more.get("requestState").is_none() {
            let mut peers = self.pool.watch();
            let come = peers.wait_for(|&peers| peers > before);
            timeout(Duration::from_secs(3), come).await.expect("it lends").unwrap();
        }
        lending
    }

    /// Asks on behalf of the key `principal`, and returns once a peer has the call.
    async fn ask(&self, principal: &str, text: &str) -> AbortOnDropHandle<Answered> {
        let pool = self.pool.clone();
        let params = CreateMessageRequestParams::new(vec![SamplingMessage::user_text(text)], 10);
        let principal = Some(format!("key {principal}").into());
        let caller = Caller { principal, ..Caller::default() };
        let call = inferd_engine::sampling::Call { caller, ..params.into() };
        let asking = spawn(async move { pool.call(call).await });
        tokio::task::yield_now().await;
        asking
    }
}

fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> AbortOnDropHandle<T> {
    AbortOnDropHandle::new(TaskTracker::new().spawn(work))
}

fn present(pool: &Pool) -> usize {
    *pool.watch().borrow()
}

fn request(key: &str, more: &Value) -> String {
    let mut params = json!({ "name": "lend_model", "arguments": {}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": { "sampling": {} },
    }});
    for (name, value) in more.as_object().unwrap() {
        params[name] = value.clone();
    }
    let head = "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: lend_model\r\n";
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    post(&format!("{key}{head}"), &body)
}

/// The keys and the texts of a round.
fn round(answer: &Value) -> Vec<(String, String)> {
    let result = &answer["result"];
    assert_eq!(result["resultType"], "input_required", "{answer}");
    let each = result["inputRequests"].as_object().unwrap().iter();
    let each = each.map(|(key, request)| {
        assert_eq!(request["method"], "sampling/createMessage");
        let text = request["params"]["messages"][0]["content"]["text"].as_str().unwrap();
        (key.clone(), text.to_owned())
    });
    each.collect()
}

fn state(answer: &Value) -> &str {
    answer["result"]["requestState"].as_str().unwrap()
}

fn said(text: &str) -> Value {
    json!({ "role": "assistant", "content": { "type": "text", "text": text }, "model": "m" })
}

/// What a lender says who repeats everything.
fn echo(answer: &Value) -> Value {
    let answers = round(answer).into_iter().map(|(key, text)| (key, said(&format!("re {text}"))));
    json!({ "inputResponses": answers.collect::<serde_json::Map<_, _>>(), "requestState": state(answer) })
}

/// What a caller heard.
async fn heard(asking: AbortOnDropHandle<Answered>) -> Result<String, SamplingError> {
    let result = timeout(Duration::from_secs(3600), asking).await.expect("an end").unwrap()?;
    Ok(result.message.content.first().unwrap().as_text().unwrap().text.clone())
}

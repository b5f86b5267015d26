use std::time::Duration;

use inferd_engine::Backend;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf};
use tokio::time::timeout;

use super::*;
use crate::agent::Agents;
use crate::audit::Audit;
use crate::config::RoomConfig;
use crate::mcp::{Pool, own_menu, tools};
use crate::queue::Admission;
use crate::router::Router;
use crate::scripted::{Scripted, Turn, token};
use crate::service::{ConnectionLimits, Service, Stop};

mod calling;
mod cancelling;
mod changing;
mod federating;
mod looking;
mod refusing;
mod running;
mod showing;
mod stopping;

/// A daemon as its MCP clients see it.
struct Rig {
    terms: watch::Sender<Terms>,
    desk: Arc<Desk>,
    menu: Menu,
    calls: TaskTracker,
    rooms: watch::Sender<Vec<RoomConfig>>,
}

impl Rig {
    fn of(backend: Arc<dyn Backend>) -> Self {
        Self::with_gate(backend, Admission::new(4, 4))
    }

    fn with_gate(backend: Arc<dyn Backend>, gate: Admission) -> Self {
        let router = Arc::new(Router::new(vec![backend]));
        let limits = ConnectionLimits::default();
        let service = Arc::new(Service {
            gate,
            router,
            limits,
            stop: Stop::default(),
            audit: Audit::off(),
            agents: Agents::alone(),
        });
        let terms = watch::Sender::new(Terms {
            service,
            keys: None,
            identity: crate::lifecycle::Identity::default(),
        });
        let calls = TaskTracker::new();
        let menu = own_menu();
        let desk = Desk::new(terms.subscribe(), menu.clone(), calls.clone(), Instant::now(), lending());
        Self { terms, desk, menu, calls, rooms: watch::Sender::default() }
    }

    fn service(&self) -> Arc<Service> {
        Arc::clone(&self.terms.borrow().service)
    }

    /// Waits, while `session` is answered, until the queue is as `enough` wants it.
    async fn until(&self, session: &mut Session, enough: impl Fn(inferd_proto::QueueState) -> bool) {
        for _ in 0..1000 {
            if enough(self.service().gate.state()) {
                return;
            }
            session.request("ping", json!({})).await;
        }
        panic!("the queue stays at {:?}", self.service().gate.state());
    }

    /// A client with a session.
    async fn session(&self) -> Session {
        self.session_of("2025-11-25").await
    }

    async fn session_of(&self, version: &str) -> Session {
        let (ours, theirs) = tokio::io::duplex(1 << 22);
        let handler = Handler::new(Arc::clone(&self.desk));
        TaskTracker::new().spawn(async move {
            // It ends with its client.
            if let Ok(serving) = rmcp::serve_server(handler, tokio::io::split(theirs)).await {
                serving.waiting().await.ok();
            }
        });
        let (read, write) = tokio::io::split(ours);
        let mut session = Session { lines: BufReader::new(read).lines(), write, next: 0, notes: Vec::new() };
        let client = json!({ "name": "test", "version": "1" });
        let params = json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": client });
        let hello = session.request("initialize", params).await;
        assert_eq!(hello["result"]["protocolVersion"], version, "{hello}");
        session.notify("notifications/initialized", json!({})).await;
        session
    }
}

/// Clients may lend their models, though nobody asks for one.
fn lending() -> Lending {
    Lending::new(Pool::default(), watch::Sender::new(true).subscribe())
}

/// What a client has.
struct Session {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    write: WriteHalf<DuplexStream>,
    next: u64,
    /// Notifications that came before what was waited for.
    notes: Vec<Value>,
}

impl Session {
    async fn say(&mut self, message: Value) {
        let mut line = message.to_string();
        line.push('\n');
        self.write.write_all(line.as_bytes()).await.unwrap();
    }

    async fn notify(&mut self, method: &str, params: Value) {
        self.say(json!({ "jsonrpc": "2.0", "method": method, "params": params })).await;
    }

    /// Asks without waiting; the id of the request.
    async fn ask(&mut self, method: &str, params: Value) -> u64 {
        self.next += 1;
        self.say(json!({ "jsonrpc": "2.0", "id": self.next, "method": method, "params": params })).await;
        self.next
    }

    async fn hear(&mut self) -> Value {
        let line =
            timeout(Duration::from_secs(3600), self.lines.next_line()).await.expect("something is said");
        serde_json::from_str(&line.unwrap().expect("the session lives")).unwrap()
    }

    /// The answer to the request of this id. What else comes is kept.
    async fn answer(&mut self, id: u64) -> Value {
        loop {
            let message = self.hear().await;
            if message["id"] == id {
                return message;
            }
            assert!(message["id"].is_null(), "no other answer is due: {message}");
            self.notes.push(message);
        }
    }

    async fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params).await;
        self.answer(id).await
    }

    /// Calls a tool without waiting.
    async fn begin(&mut self, tool: &str, arguments: Value) -> u64 {
        self.ask("tools/call", json!({ "name": tool, "arguments": arguments })).await
    }

    /// Calls a tool; its result.
    async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let id = self.begin(tool, arguments).await;
        self.answer(id).await["result"].take()
    }

    /// The texts that progress notifications carried.
    fn shown(&self) -> Vec<&str> {
        let progress = self.notes.iter().filter(|note| note["method"] == "notifications/progress");
        progress.map(|note| note["params"]["message"].as_str().unwrap()).collect()
    }

    /// The log lines that came.
    fn logged(&self) -> Vec<&Value> {
        let logged = self.notes.iter().filter(|note| note["method"] == "notifications/message");
        logged.map(|note| &note["params"]).collect()
    }
}

/// The text of a result.
fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("it has a text: {result}"))
}

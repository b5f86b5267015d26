//! For tests: servers that are played by the test, at the other end of a pipe.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Duration, timeout};
use tokio_util::sync::CancellationToken;

use super::mcp::over_pipe;
use super::session::{Connect, Session};
use super::{Patience, Upstreams, Wanted};
use crate::config::Config;

/// How long a test waits for what has to come.
const LONG: Duration = Duration::from_secs(3600);

/// Upstream servers that are played, each by whoever takes its part.
pub(crate) struct Stage {
    pub(crate) upstreams: Upstreams,
    parts: Arc<Mutex<HashMap<String, mpsc::Receiver<Actor>>>>,
}

/// Somebody who plays a server, from a connection to its end.
pub(crate) struct Actor {
    pub(crate) from: BufReader<ReadHalf<DuplexStream>>,
    to: WriteHalf<DuplexStream>,
}

struct Curtain {
    server: String,
    calls: mpsc::Sender<Actor>,
}

#[async_trait]
impl Connect for Curtain {
    async fn connect(&self) -> Result<Arc<dyn Session>, String> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (from, to) = tokio::io::split(theirs);
        let actor = Actor { from: BufReader::new(from), to };
        self.calls.try_send(actor).map_err(|_| "nobody plays it".to_owned())?;
        over_pipe(&self.server, ours).await
    }
}

impl Stage {
    /// Servers of these ids, each connected to at once.
    pub(crate) fn of(servers: &[&str]) -> Self {
        let stage = Self::empty();
        stage.upstreams.want(servers.iter().map(|id| wanted(id, "x")));
        stage
    }

    pub(crate) fn empty() -> Self {
        let parts: Arc<Mutex<HashMap<String, mpsc::Receiver<Actor>>>> = Arc::default();
        let cast = Arc::clone(&parts);
        let connectors = move |wanted: Wanted, _| {
            let (calls, called) = mpsc::channel(1);
            cast.lock().unwrap().insert(wanted.config.id.clone(), called);
            Box::new(Curtain { server: wanted.config.id, calls }) as Box<dyn Connect>
        };
        let stopping = CancellationToken::new();
        let upstreams = Upstreams::connected_by(Box::new(connectors), Patience::default(), &stopping);
        Self { upstreams, parts }
    }

    /// Waits until `server` is connected to.
    pub(crate) async fn enter(&self, server: &str) -> Actor {
        let mut called = self.parts.lock().unwrap().remove(server).expect("it is wanted");
        let actor = timeout(LONG, called.recv()).await.expect("it is connected to").expect("it is wanted");
        self.parts.lock().unwrap().insert(server.to_owned(), called);
        actor
    }

    /// Nobody will play `server` again.
    pub(crate) fn dismiss(&self, server: &str) {
        self.parts.lock().unwrap().remove(server).expect("it is wanted");
    }

    /// Waits until `server` can be called.
    pub(crate) async fn ready(&self, server: &str) {
        let mut changes = self.upstreams.changes();
        let is_ready = changes.wait_for(|catalogue| {
            let server = catalogue.server(server);
            server.is_some_and(|server| server.condition.state == super::State::Live)
        });
        timeout(LONG, is_ready).await.expect("it becomes ready").expect("there are servers");
    }

    /// Plays `server` up to where it can be called.
    pub(crate) async fn play(&self, server: &str, tools: Value) -> Actor {
        let mut actor = self.enter(server).await;
        actor.greets().await;
        actor.lists(tools).await;
        self.ready(server).await;
        actor
    }
}

impl Actor {
    /// The next message.
    pub(crate) async fn hears(&mut self) -> Value {
        let mut line = String::new();
        let read = timeout(LONG, self.from.read_line(&mut line)).await.expect("something is said");
        assert_ne!(read.unwrap(), 0, "the connection has ended");
        serde_json::from_str(&line).unwrap()
    }

    /// The next message, which is this request.
    pub(crate) async fn is_asked(&mut self, method: &str) -> Value {
        let message = self.hears().await;
        assert_eq!(message["method"], method, "{message}");
        message
    }

    pub(crate) async fn says(&mut self, message: Value) {
        self.to.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    pub(crate) async fn says_bytes(&mut self, bytes: &[u8]) {
        self.to.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn answers(&mut self, request: &Value, result: Value) {
        self.says(json!({"jsonrpc": "2.0", "id": request["id"], "result": result})).await;
    }

    pub(crate) async fn greets(&mut self) {
        let hello = self.is_asked("initialize").await;
        let result = json!({"protocolVersion": hello["params"]["protocolVersion"], "serverInfo": {"name": "played",
            "version": "1"}, "capabilities": {"tools": {"listChanged": true}}});
        self.answers(&hello, result).await;
        self.is_asked("notifications/initialized").await;
    }

    /// Answers one listing.
    pub(crate) async fn lists(&mut self, tools: Value) {
        let ping = self.is_asked("ping").await;
        self.answers(&ping, json!({})).await;
        let list = self.is_asked("tools/list").await;
        self.answers(&list, json!({"tools": tools})).await;
    }
}

/// Tools of these names.
pub(crate) fn tools(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"name": name, "inputSchema": {"type": "object"}})).collect()
}

pub(crate) fn wanted(id: &str, program: &str) -> Wanted {
    let text = format!("[[servers]]\nid = \"{id}\"\ncommand = [\"{program}\"]");
    Wanted { config: Config::parse(&text).unwrap().servers.remove(0), key: None }
}

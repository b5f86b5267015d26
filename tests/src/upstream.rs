//! A model server that does as it is told and remembers what was done to it.
//!
//! Invariants: `open` counts answers from the moment the request is read to the moment before the end of the answer is
//! written, or else to the moment the peer has closed the connection or the server has gone down; those whose peer closed
//! the connection are in `abandoned`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::PATIENCE;
use crate::http::Connection;

mod answer;
mod turn;

pub use answer::{Answer, Gate};
pub use turn::{Ending, Visit};

use turn::Turn;

/// What an upstream has seen so far.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The bodies of the requests to generate, in the order they came.
    pub requests: Vec<Value>,
    /// What became of each of them.
    pub visits: Vec<Visit>,
    /// How many of them are being answered.
    pub open: usize,
    /// The most that ever were at one time.
    pub most_open: usize,
    /// When the peer closed a connection before it had its whole answer.
    pub abandoned: Vec<Instant>,
}

/// A running upstream. Dropping it closes its socket and all connections.
pub struct Upstream {
    address: SocketAddr,
    /// Bound and never listening, so that nobody else gets the address while the server is down.
    _address: TcpSocket,
    script: Arc<Script>,
    seen: Arc<watch::Sender<Seen>>,
    life: Option<Life>,
}

type Script = dyn Fn(usize, &Value) -> Answer + Send + Sync;

/// From the start of the server to its going down.
struct Life {
    /// Dropped when the server is to go down.
    up: watch::Sender<()>,
    tasks: JoinSet<()>,
}

impl Upstream {
    /// An upstream that answers every request alike.
    ///
    /// # Errors
    /// When loopback has no free port.
    pub async fn always(answer: Answer) -> Result<Self> {
        Self::start(move |_, _| answer.clone()).await
    }

    /// An upstream that asks `script` how to answer, with the number of the request (the first is 0) and its body.
    ///
    /// # Errors
    /// When loopback has no free port.
    pub async fn start(script: impl Fn(usize, &Value) -> Answer + Send + Sync + 'static) -> Result<Self> {
        Self::bind(([127, 0, 0, 1], 0).into(), script).await
    }

    /// An upstream at a certain address, which answers every request alike.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn at(address: SocketAddr, answer: Answer) -> Result<Self> {
        Self::bind(address, move |_, _| answer.clone()).await
    }

    async fn bind(
        address: SocketAddr,
        script: impl Fn(usize, &Value) -> Answer + Send + Sync + 'static,
    ) -> Result<Self> {
        let held = TcpSocket::new_v4()?;
        held.set_reuseaddr(true)?;
        held.bind(address)?;
        let seen = Arc::new(watch::Sender::new(Seen::default()));
        let address = held.local_addr()?;
        let mut upstream = Self { address, _address: held, script: Arc::new(script), seen, life: None };
        upstream.come_back().await?;
        Ok(upstream)
    }

    /// Refuses connections and resets those it has, as a server that is killed does.
    pub async fn go_down(&mut self) {
        if let Some(Life { up, mut tasks }) = self.life.take() {
            drop(up);
            while tasks.join_next().await.is_some() {}
        }
    }

    /// Listens again, at the same address.
    ///
    /// # Errors
    /// When the system does not let it.
    pub async fn come_back(&mut self) -> Result<()> {
        if self.life.is_none() {
            let listener = TcpListener::bind(self.address).await?;
            let (up, life) = watch::channel(());
            let mut tasks = JoinSet::new();
            tasks.spawn(accept(listener, Arc::clone(&self.script), Arc::clone(&self.seen), life));
            self.life = Some(Life { up, tasks });
        }
        Ok(())
    }

    /// A `[[backends]]` table of this upstream under a name, which is also that of its one model.
    #[must_use]
    pub fn backend(&self, name: &str) -> String {
        let url = self.base_url();
        format!(
            "[[backends]]\nname = \"{name}\"\nkind = \"openai\"\nbase_url = \"{url}\"\nmodels = [\"{name}\"]\n"
        )
    }

    /// What to write after `base_url =`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it has seen so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits until what it has seen satisfies `enough`.
    ///
    /// # Errors
    /// When that does not come in time.
    pub async fn until(&self, enough: impl FnMut(&Seen) -> bool) -> Result<Seen> {
        let mut seen = self.seen.subscribe();
        let reached = timeout(PATIENCE, seen.wait_for(enough)).await;
        Ok(reached.with_context(|| format!("the upstream has seen only {:?}", self.seen()))??.clone())
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn accept(
    listener: TcpListener,
    script: Arc<Script>,
    seen: Arc<watch::Sender<Seen>>,
    mut life: watch::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            _ = life.changed() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&script), Arc::clone(&seen), life.clone()));
                }
                Err(_) => break,
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Answers one connection's requests until the peer leaves or the server goes down.
async fn serve(
    stream: TcpStream,
    script: Arc<Script>,
    seen: Arc<watch::Sender<Seen>>,
    mut life: watch::Receiver<()>,
) -> io::Result<()> {
    let mut connection = Connection::new(stream)?;
    let up = life.clone();
    tokio::select! {
        biased;
        _ = life.changed() => connection.reset(),
        answered = answer_all(&mut connection, &*script, &seen, &up) => answered,
    }
}

async fn answer_all(
    connection: &mut Connection,
    script: &Script,
    seen: &watch::Sender<Seen>,
    life: &watch::Receiver<()>,
) -> io::Result<()> {
    while let Some(request) = connection.request().await? {
        if request.method == "GET" {
            // As OpenAI lists them, and as Ollama does.
            let data = json!([{"id": "scripted", "object": "model"}]);
            let models = json!({"object": "list", "data": data, "models": [{"name": "scripted"}]});
            connection.whole(200, &models.to_string()).await?;
            continue;
        }
        let turn = Turn::begin(seen, life, &request.body);
        let answer = script(turn.number(), &request.body);
        answer.play(connection, turn, request.wants_stream()).await?;
    }
    Ok(())
}

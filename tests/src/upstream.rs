//! A model server that does as it is told and remembers what was done to it.
//!
//! Invariants: `open` counts answers from the moment the request is read to the moment before the end of the answer is
//! written, or else to the moment the peer has closed the connection; exactly the latter are in `abandoned`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::PATIENCE;
use crate::http::Connection;

mod answer;

pub use answer::{Answer, Gate};

/// What an upstream has seen so far.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The bodies of the requests to generate, in the order they came.
    pub requests: Vec<Value>,
    /// How many of them are being answered.
    pub open: usize,
    /// The most that ever were at one time.
    pub most_open: usize,
    /// When the peer closed a connection before it had its whole answer.
    pub abandoned: Vec<Instant>,
}

/// A running upstream. Dropping it closes its socket and all connections.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    seen: watch::Receiver<Seen>,
    _tasks: JoinSet<()>,
}

type Script = dyn Fn(usize, &Value) -> Answer + Send + Sync;

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
        Self::serve(TcpListener::bind("127.0.0.1:0").await?, script)
    }

    /// An upstream at a certain address, which answers every request alike.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn at(address: SocketAddr, answer: Answer) -> Result<Self> {
        Self::serve(TcpListener::bind(address).await?, move |_, _| answer.clone())
    }

    fn serve(
        listener: TcpListener,
        script: impl Fn(usize, &Value) -> Answer + Send + Sync + 'static,
    ) -> Result<Self> {
        let address = listener.local_addr()?;
        let (sender, seen) = watch::channel(Seen::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::new(script), Arc::new(sender)));
        Ok(Self { address, seen, _tasks: tasks })
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
        let mut seen = self.seen.clone();
        let reached = timeout(PATIENCE, seen.wait_for(enough)).await;
        Ok(reached.with_context(|| format!("the upstream has seen only {:?}", self.seen()))??.clone())
    }
}

async fn accept(listener: TcpListener, script: Arc<Script>, seen: Arc<watch::Sender<Seen>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&script), Arc::clone(&seen)));
    }
}

/// Answers one connection's requests until the peer leaves.
async fn serve(stream: TcpStream, script: Arc<Script>, seen: Arc<watch::Sender<Seen>>) -> io::Result<()> {
    let mut connection = Connection::new(stream)?;
    while let Some(request) = connection.request().await? {
        if request.method == "GET" {
            let models = json!({"object": "list", "data": [{"id": "scripted", "object": "model"}]});
            connection.whole(200, &models.to_string()).await?;
            continue;
        }
        let (turn, number) = Turn::begin(&seen, &request.body);
        script(number, &request.body).play(&mut connection, turn, request.wants_stream()).await?;
    }
    Ok(())
}

/// One answer that is open; dropped before it has ended, it was abandoned.
struct Turn<'a> {
    seen: &'a watch::Sender<Seen>,
}

impl<'a> Turn<'a> {
    fn begin(seen: &'a watch::Sender<Seen>, body: &Value) -> (Self, usize) {
        let mut number = 0;
        seen.send_modify(|seen| {
            number = seen.requests.len();
            seen.requests.push(body.clone());
            seen.open += 1;
            seen.most_open = seen.most_open.max(seen.open);
        });
        (Self { seen }, number)
    }

    fn end(self) {
        self.seen.send_modify(|seen| seen.open -= 1);
        std::mem::forget(self);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.seen.send_modify(|seen| {
            seen.open -= 1;
            seen.abandoned.push(Instant::now());
        });
    }
}

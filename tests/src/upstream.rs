//! A model server that does as it is told and remembers what was done to it.
//!
//! Invariants: `open` counts answers from the moment the request is read to the moment before the end of the answer is
//! written, or else to the moment the peer has closed the connection; exactly the latter are in `abandoned`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::PATIENCE;
use crate::http::Connection;

/// How the upstream answers one request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// These tokens, each after this delay: streamed if the request asks for a stream, else as one body.
    Tokens(Vec<String>, Duration),
    /// These tokens at once, then the connection is closed without an end mark.
    CutShort(Vec<String>),
    /// This status with this body.
    Status(u16, String),
    /// Nothing at all, for as long as the peer stays.
    Silence,
}

impl Answer {
    /// Tokens without a delay.
    #[must_use]
    pub fn tokens(tokens: &[&str]) -> Self {
        Self::slow_tokens(tokens, Duration::ZERO)
    }

    /// Tokens, each after this delay.
    #[must_use]
    pub fn slow_tokens(tokens: &[&str], delay: Duration) -> Self {
        Self::Tokens(tokens.iter().map(ToString::to_string).collect(), delay)
    }
}

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
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (sender, seen) = watch::channel(Seen::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::new(script), Arc::new(sender)));
        Ok(Self { address, seen, _tasks: tasks })
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
        answer(&mut connection, turn, script(number, &request.body), request.wants_stream()).await?;
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

async fn answer(connection: &mut Connection, turn: Turn<'_>, answer: Answer, stream: bool) -> io::Result<()> {
    match answer {
        Answer::Tokens(tokens, delay) if stream => {
            connection.begin_events().await?;
            for token in &tokens {
                connection.stays_for(sleep(delay)).await?;
                connection.event(&delta(token).to_string()).await?;
            }
            turn.end();
            connection.last_events(&[&finish(&tokens).to_string(), "[DONE]"]).await
        }
        Answer::Tokens(tokens, delay) => {
            for _ in &tokens {
                connection.stays_for(sleep(delay)).await?;
            }
            turn.end();
            connection.whole(200, &completion(&tokens).to_string()).await
        }
        Answer::CutShort(tokens) => {
            connection.begin_events().await?;
            for token in &tokens {
                connection.event(&delta(token).to_string()).await?;
            }
            turn.end();
            connection.close().await
        }
        Answer::Status(code, body) => {
            turn.end();
            connection.whole(code, &body).await
        }
        Answer::Silence => connection.stays_for(std::future::pending()).await,
    }
}

fn delta(token: &str) -> Value {
    chunk(&json!({"content": token}), &Value::Null)
}

fn finish(tokens: &[String]) -> Value {
    let mut last = chunk(&json!({}), &json!("stop"));
    last["usage"] = usage(tokens);
    last
}

fn chunk(delta: &Value, finish_reason: &Value) -> Value {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish_reason});
    json!({"id": "c", "object": "chat.completion.chunk", "model": "scripted", "choices": [choice]})
}

fn completion(tokens: &[String]) -> Value {
    let message = json!({"role": "assistant", "content": tokens.concat()});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    let usage = usage(tokens);
    json!({"id": "c", "object": "chat.completion", "model": "scripted", "choices": [choice], "usage": usage})
}

fn usage(tokens: &[String]) -> Value {
    json!({"prompt_tokens": 1, "completion_tokens": tokens.len(), "total_tokens": 1 + tokens.len()})
}

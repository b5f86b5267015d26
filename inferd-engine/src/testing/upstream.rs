//! A scripted HTTP/1.1 server on loopback: it records what it is asked, says what it was told to, and knows when its
//! clients have gone.
//!
//! Invariants:
//! - Each request takes the next [`Reply`] of the script; the last one stands for all that follow.
//! - Nothing is timed: what is to come later waits for a `Notify`, and every state can be waited for.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use super::reply::Reply;
use super::reply::{Framing, Piece};

/// The server. Dropping it closes everything.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Held for its drop.
    _accepting: JoinSet<()>,
}

/// A request as it was received.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The connection it came through; the first is 0.
    pub connection: usize,
    /// Such as `POST`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// How the server stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections open.
    pub open: usize,
    /// Connections ever accepted.
    pub accepted: usize,
    /// Requests received.
    pub requests: usize,
    /// Responses sent whole.
    pub sent: usize,
    /// Bytes of responses handed to the system.
    pub bytes: usize,
}

#[derive(Debug)]
struct Shared {
    script: Mutex<VecDeque<Reply>>,
    requests: Mutex<Vec<Recorded>>,
    counts: watch::Sender<Counts>,
}

impl Upstream {
    /// Listens on a free port and answers as `script` says.
    ///
    /// # Panics
    /// Where no socket can be had, or the script is empty.
    pub async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let script: VecDeque<Reply> = script.into_iter().collect();
        assert!(!script.is_empty(), "a script has at least one reply");
        let shared = Arc::new(Shared {
            script: Mutex::new(script),
            requests: Mutex::default(),
            counts: watch::Sender::default(),
        });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, _accepting: accepting }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:port`
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, in order of their arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How it stands.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *self.shared.counts.borrow()
    }

    /// Waits until it stands as `wanted`.
    pub async fn until(&self, wanted: impl FnMut(&Counts) -> bool) {
        let mut counts = self.shared.counts.subscribe();
        // The sender is ours and lives as long as we do.
        counts.wait_for(wanted).await.ok();
    }

    /// Waits until no connection is open.
    pub async fn all_closed(&self) {
        self.until(|counts| counts.accepted > 0 && counts.open == 0).await;
    }
}

impl Recorded {
    /// The value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// Where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

impl Shared {
    fn next_reply(&self) -> Reply {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        match script.len() {
            1 => script.front().cloned(),
            _ => script.pop_front(),
        }
        .expect("a script never runs out")
    }

    fn record(&self, request: Recorded) {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        self.counts.send_modify(|counts| counts.requests += 1);
    }
}

/// Counts a connection as open while it lives.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.counts.send_modify(|counts| counts.open -= 1);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let mut connection = 0;
        shared.counts.send_modify(|counts| {
            connection = counts.accepted;
            counts.accepted += 1;
            counts.open += 1;
        });
        let open = Open(Arc::clone(&shared));
        connections.spawn(async move {
            // A client that leaves is no fault here; tests look at the counts.
            converse(stream, connection, &open.0).await.ok();
        });
    }
}

async fn converse(stream: TcpStream, connection: usize, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    while let Some(request) = read_request(&mut reader, connection).await? {
        shared.record(request);
        let reply = shared.next_reply();
        tokio::select! {
            kept = play(&reply, &mut writer, shared) => if !kept? { break },
            () = left(&mut reader) => break,
        }
    }
    // Dropping it would say goodbye, which a reset must not.
    writer.forget();
    Ok(())
}

/// Resolves when the client has gone.
async fn left(reader: &mut BufReader<OwnedReadHalf>) {
    if matches!(reader.fill_buf().await, Ok(bytes) if !bytes.is_empty()) {
        // It has sent another request, which is read after this reply.
        std::future::pending::<()>().await;
    }
}

/// Whether the connection may be used again.
async fn play(reply: &Reply, writer: &mut OwnedWriteHalf, shared: &Shared) -> io::Result<bool> {
    send(writer, &reply.full_head(), shared).await?;
    for piece in &reply.pieces {
        match piece {
            Piece::Bytes(bytes) if reply.framing == Framing::Chunked && !bytes.is_empty() => {
                let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
                chunk.extend_from_slice(bytes);
                chunk.extend_from_slice(b"\r\n");
                send(writer, &chunk, shared).await?;
            }
            Piece::Bytes(bytes) => send(writer, bytes, shared).await?,
            Piece::Wait(gate) => gate.notified().await,
            Piece::Hang => std::future::pending().await,
            Piece::Reset => {
                writer.as_ref().set_zero_linger()?;
                return Ok(false);
            }
            Piece::End => return Ok(false),
        }
    }
    if reply.framing == Framing::Chunked {
        send(writer, b"0\r\n\r\n", shared).await?;
    }
    shared.counts.send_modify(|counts| counts.sent += 1);
    Ok(reply.framing != Framing::Close && !reply.close_after)
}

async fn send(writer: &mut OwnedWriteHalf, mut bytes: &[u8], shared: &Shared) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = writer.write(bytes).await?;
        bytes = &bytes[sent..];
        shared.counts.send_modify(|counts| counts.bytes += sent);
    }
    Ok(())
}

async fn read_request(
    reader: &mut BufReader<OwnedReadHalf>,
    connection: usize,
) -> io::Result<Option<Recorded>> {
    let mut line = String::new();
    if reader.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut request = Recorded { connection, method, target, headers: Vec::new(), body: Vec::new() };
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body).await?;
    Ok(Some(request))
}

//! A scripted server on loopback, for HTTP/1.1 or lines of JSON: it records what it is asked, says what it was told to,
//! and knows when its clients have gone.
//!
//! Invariants:
//! - Each request takes the next [`Reply`] of the script; the last one stands for all that follow.
//! - Nothing is timed: what is to come later waits for a `Notify`, and every state can be waited for.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::converse::{Dialect, converse};
pub use super::reply::Reply;

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
    /// Such as `POST`; of a line its type, such as `request`.
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
    /// Requests received that took a reply of the script.
    pub requests: usize,
    /// Responses sent whole.
    pub sent: usize,
    /// Bytes of responses handed to the system.
    pub bytes: usize,
}

/// Makes a reply to a request.
pub type Answer = Box<dyn Fn(&Recorded) -> Reply + Send + Sync>;

/// What the connections of one server share.
pub(super) struct Shared {
    dialect: Dialect,
    script: Mutex<VecDeque<Answer>>,
    requests: Mutex<Vec<Recorded>>,
    counts: watch::Sender<Counts>,
}

impl Upstream {
    /// Listens on a free port for HTTP and answers as `script` says.
    ///
    /// # Panics
    /// Where no socket can be had, or the script is empty.
    pub async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let answer = |reply: Reply| -> Answer { Box::new(move |_| reply.clone()) };
        Self::speaking(Dialect::Http, script.into_iter().map(answer)).await
    }

    /// Listens on a free port as a daemon does: says `hello` to each hello, and to other lines what `script` says.
    /// Keys are recorded and not looked at.
    ///
    /// # Panics
    /// As [`Upstream::start`].
    pub async fn daemon(hello: Reply, script: impl IntoIterator<Item = Answer>) -> Self {
        Self::speaking(Dialect::Lines { hello }, script).await
    }

    async fn speaking(dialect: Dialect, script: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let script: VecDeque<Answer> = script.into_iter().collect();
        assert!(!script.is_empty(), "a script has at least one reply");
        let shared = Arc::new(Shared {
            dialect,
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
    /// Takes a request of the script and makes its reply.
    pub(super) fn take(&self, request: Recorded) -> Reply {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        let reply = match script.len() {
            1 => script[0](&request),
            _ => script.pop_front().expect("a script never runs out")(&request),
        };
        drop(script);
        self.note(request);
        self.count(|counts| counts.requests += 1);
        reply
    }

    /// Keeps a request.
    pub(super) fn note(&self, request: Recorded) {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Counts)) {
        self.counts.send_modify(change);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("dialect", &self.dialect).finish_non_exhaustive()
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
            converse(stream, connection, &open.0.dialect, &open.0).await.ok();
        });
    }
}

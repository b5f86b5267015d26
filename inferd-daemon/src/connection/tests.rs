use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use inferd_engine::{Backend, TokenEvent};
use inferd_proto::{ErrorCode, Response, StopReason};
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::*;
use crate::agent::Agents;
use crate::audit::{Audit, Door};
use crate::config::Config;
use crate::queue::{Admission, ClientKey, Limits};
use crate::router::{LaneConfig, Router};
use crate::scripted::{Scripted, Turn, answer, done, token};
use crate::service::{ConnectionLimits, Stop};
use crate::upstream::Wanted;
use crate::upstream::scripted::Stage;

mod agent;
mod auditing;
mod cancelling;
mod dialect;
mod embedding;
mod errors;
mod law;
mod leaving;
mod limits;
mod lines;
mod listing;
mod pipelining;
mod stopping;
mod tool;
mod writing;

/// The daemon's end of a connection: like a local socket where `LOCAL`, else like TCP. Notes each write.
struct Pipe<const LOCAL: bool> {
    stream: DuplexStream,
    writes: Arc<Mutex<Vec<usize>>>,
}

impl<const LOCAL: bool> Socket for Pipe<LOCAL> {
    const TELLS_HALF_CLOSED_FROM_GONE: bool = LOCAL;

    fn hangup(&self) -> io::Result<Hangup> {
        Ok(Hangup::Untold)
    }
}

impl<const LOCAL: bool> AsyncRead for Pipe<LOCAL> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<const LOCAL: bool> AsyncWrite for Pipe<LOCAL> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.writes.lock().unwrap().push(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// What a pipe holds that nobody reads: enough for any answer here.
const PIPE_BYTES: usize = 1 << 20;

/// A daemon as its connections see it.
struct Rig {
    service: Arc<Service>,
    connections: TaskTracker,
    opened: AtomicU64,
}

impl Rig {
    /// One lane; four run and sixteen wait.
    fn of(backend: &Arc<Scripted>) -> Self {
        Self::with(backend, Admission::new(4, 16), ConnectionLimits::default())
    }

    /// One lane; one runs and four wait.
    fn one_by_one(backend: &Arc<Scripted>) -> Self {
        Self::with(backend, Admission::new(1, 4), ConnectionLimits::default())
    }

    /// As [`Rig::of`] a backend whose answers the test dictates.
    fn dictated() -> (Self, Calls) {
        let (backend, called) = dictated();
        (Self::of(&backend), called)
    }

    fn with(backend: &Arc<Scripted>, gate: Admission, limits: ConnectionLimits) -> Self {
        Self::routing(Router::new(vec![Arc::clone(backend) as Arc<dyn Backend>]), gate, limits)
    }

    fn routing(router: Router, gate: Admission, limits: ConnectionLimits) -> Self {
        let service = Service {
            gate,
            router: Arc::new(router),
            limits,
            stop: Stop::default(),
            audit: Audit::off(),
            agents: Agents::alone(),
        };
        Self { service: Arc::new(service), connections: TaskTracker::new(), opened: AtomicU64::new(0) }
    }

    /// The same, leaving rows.
    fn audited(mut self, audit: Audit) -> Self {
        Arc::get_mut(&mut self.service).expect("nobody is connected yet").audit = audit;
        self
    }

    /// The same, with these servers and rooms.
    fn with_servers(mut self, stage: &Stage, rooms: &str) -> Self {
        let service = Arc::get_mut(&mut self.service).expect("nobody is connected yet");
        service.agents = Agents::new(stage.upstreams.clone());
        let servers = stage.upstreams.catalogue().servers.clone();
        let sections =
            servers.iter().map(|server| format!("[[servers]]\nid = \"{}\"\ncommand = [\"x\"]\n", server.id));
        let config = Config::parse(&(sections.collect::<String>() + rooms)).unwrap();
        let wanted = config.servers.into_iter().map(|config| Wanted { config, key: None });
        service.agents.reconfigure(wanted, &config.rooms);
        self
    }

    fn local(&self) -> Talk {
        self.connect::<true>(PIPE_BYTES, "")
    }

    fn tcp(&self) -> Talk {
        self.connect::<false>(PIPE_BYTES, "")
    }

    fn connect<const LOCAL: bool>(&self, pipe_bytes: usize, early: &str) -> Talk {
        let (ours, theirs) = tokio::io::duplex(pipe_bytes);
        let writes = Arc::default();
        let pipe = Pipe::<LOCAL> { stream: theirs, writes: Arc::clone(&writes) };
        let key = ClientKey::Connection(self.opened.fetch_add(1, Ordering::Relaxed));
        let caller = Caller::new(&key, if LOCAL { Door::Ndjson } else { Door::Tcp });
        let client = self.service.gate.client(key);
        let visitor = Visitor { client, caller, asker: inferd_proto::Caller::default() };
        let serve = serve(pipe, visitor, early.into(), Arc::clone(&self.service));
        let (from, to) = tokio::io::split(ours);
        Talk { from: BufReader::new(from), to, writes, served: self.connections.spawn(serve) }
    }

    /// Requests running and waiting.
    fn counts(&self) -> (usize, usize) {
        let queue = self.service.gate.state();
        (queue.running, queue.waiting)
    }

    /// Waits until nobody runs or waits.
    async fn is_empty(&self) {
        while self.counts() != (0, 0) {
            settled().await;
        }
    }
}

/// The client's end.
struct Talk {
    from: BufReader<ReadHalf<DuplexStream>>,
    to: WriteHalf<DuplexStream>,
    writes: Arc<Mutex<Vec<usize>>>,
    served: JoinHandle<()>,
}

impl Talk {
    async fn send(&mut self, line: &str) {
        self.send_bytes(format!("{line}\n").as_bytes()).await;
    }

    async fn send_bytes(&mut self, bytes: &[u8]) {
        self.to.write_all(bytes).await.unwrap();
    }

    /// The next line; `None`: the daemon has closed the connection.
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = tokio::time::timeout(Duration::from_secs(3600), self.from.read_line(&mut line));
        match read.await.expect("a line comes") {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.strip_suffix('\n').expect("lines are whole").to_owned()),
        }
    }

    async fn frame(&mut self) -> Response {
        let line = self.line().await.expect("the connection is open");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Every line up to the next terminal frame.
    async fn lines(&mut self) -> String {
        let mut lines = String::new();
        loop {
            let line = self.line().await.expect("the connection is open");
            lines += &line;
            if line.starts_with(r#"{"type":"done"#) || line.starts_with(r#"{"type":"error"#) {
                return lines;
            }
            lines.push('\n');
        }
    }

    /// Sends one line and returns what it is answered with.
    async fn ask(&mut self, line: &str) -> String {
        self.send(line).await;
        self.lines().await
    }

    /// Every frame until `terminal` requests have ended.
    async fn frames(&mut self, terminal: usize) -> Vec<Response> {
        let mut frames: Vec<Response> = Vec::new();
        while frames.iter().filter(|frame| frame.is_terminal()).count() < terminal {
            frames.push(self.frame().await);
        }
        frames
    }

    /// Shuts down the writing side.
    async fn half_close(&mut self) {
        self.to.shutdown().await.unwrap();
    }

    /// Waits until the daemon is done with this connection, and asserts that it says nothing more.
    #[track_caller]
    fn closed(mut self) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let served = tokio::time::timeout(Duration::from_secs(3600), self.served).await;
            served.expect("the daemon closes it").unwrap();
            let mut rest = String::new();
            while self.from.read_line(&mut rest).await.is_ok_and(|read| read > 0) {}
            assert_eq!(rest, "", "said before it closed, at {caller}");
        }
    }

    fn writes(&self) -> usize {
        self.writes.lock().unwrap().len()
    }
}

/// Returns when nothing else can run: the clock is paused, and only moves on then.
async fn settled() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

fn ask(id: &str) -> String {
    ask_with(id, "")
}

/// A request with further fields.
fn ask_with(id: &str, fields: &str) -> String {
    format!(r#"{{"id":"{id}","messages":[{{"role":"user","content":"hi"}}]{fields}}}"#)
}

fn cancel(id: &str) -> String {
    format!(r#"{{"type":"cancel","id":"{id}"}}"#)
}

/// The calls of a backend, in order: what is sent to one is what it says.
struct Calls(mpsc::Receiver<mpsc::Sender<TokenEvent>>);

impl Calls {
    async fn next(&mut self) -> mpsc::Sender<TokenEvent> {
        let next = tokio::time::timeout(Duration::from_secs(3600), self.0.recv()).await;
        next.expect("the backend is called").expect("the backend is there")
    }
}

/// A backend whose answers the test dictates.
fn dictated() -> (Arc<Scripted>, Calls) {
    let (calls, called) = mpsc::channel(64);
    let backend = Scripted::new("lane", move |_, _| {
        let (say, said) = mpsc::channel(64);
        calls.try_send(say).expect("the test follows");
        Turn::Follow(said)
    });
    (backend, Calls(called))
}

fn is_error(frame: &Response, wanted: &str, code_wanted: ErrorCode) -> bool {
    matches!(frame, Response::Error { id, code, .. } if id == wanted && *code == code_wanted)
}

fn is_token(frame: &Response, wanted: &str, text: &str) -> bool {
    matches!(frame, Response::Token { id, content, .. } if id == wanted && content == text)
}

fn is_done(frame: &Response, wanted: &str, text: &str) -> bool {
    matches!(frame, Response::Done { id, content, stop_reason: StopReason::End, .. } if id == wanted && content == text)
}

//! What one reader of an MCP stream that does not read costs another session: the time of its pings while a busy
//! session's standalone stream has no reader, one that reads, and one that stalls, in turn.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Address, Process, free_address};
use crate::race::{Course, median};

/// The work's name on the command line.
pub const NAME: &str = "stalled";

/// How long the busy session is written to before it counts: until sockets hold what nobody reads.
const FILL: Duration = Duration::from_secs(3);

/// Who reads the busy session's stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    Nobody,
    Reading,
    Stalled,
}

/// The time of a ping in µs, the median of all rounds, and the 99th percentile.
pub struct Pings {
    pub nobody: [f64; 2],
    pub reading: [f64; 2],
    pub stalled: [f64; 2],
}

/// Measures one daemon, the readers in turn.
pub fn run(course: &Course) -> Result<Pings> {
    let home = TempDir::new()?;
    let address = free_address()?;
    let config = home.path().join("inferd.toml");
    fs::write(
        &config,
        format!(
            "[mcp]\nlisten = \"{address}\"\n[[backends]]\nname = \"m\"\nkind = \"mock\"\ntokens = [\"a\"]\n"
        ),
    )?;
    let mut command = Command::new(&course.ours);
    command
        .env_clear()
        .env("HOME", home.path())
        .env("XDG_RUNTIME_DIR", home.path())
        .env("INFERD_CONFIG", config);
    let _daemon = Process::spawn(&mut command, &Address::Tcp(address))?;
    let mut taken = [Reader::Nobody, Reader::Reading, Reader::Stalled].map(|reader| (reader, Vec::new()));
    for _ in 0..course.rounds {
        for (reader, turns) in &mut taken {
            turns.push(turn(address, *reader, course.turn)?);
        }
    }
    let [nobody, reading, stalled] = taken
        .map(|(_, turns): (_, Vec<[f64; 2]>)| [0, 1].map(|at| median(turns.iter().map(|turn| turn[at]))));
    Ok(Pings { nobody, reading, stalled })
}

fn turn(address: SocketAddr, reader: Reader, lasts: Duration) -> Result<[f64; 2]> {
    let (mut busy, mut quiet) = (Session::begin(address)?, Session::begin(address)?);
    busy.ask(&request("logging/setLevel", &json!({ "level": "debug" })))?;
    let over = Arc::new(AtomicBool::new(false));
    let standing = (reader != Reader::Nobody).then(|| busy.stand()).transpose()?;
    let calls = {
        let over = Arc::clone(&over);
        thread::spawn(move || {
            let call = request("tools/call", &json!({ "name": "generate", "arguments": { "prompt": "hi" } }));
            while !over.load(Ordering::Relaxed) {
                busy.ask(&call)?;
            }
            Ok::<_, anyhow::Error>(())
        })
    };
    let reads =
        standing.as_ref().filter(|_| reader == Reader::Reading).map(TcpStream::try_clone).transpose()?;
    let reads = reads.map(|mut stream| {
        thread::spawn(move || {
            let mut taken = [0; 16 * 1024];
            while stream.read(&mut taken).is_ok_and(|read| read > 0) {}
        })
    });
    thread::sleep(FILL);
    let mut pings = quiet.pings(lasts)?;
    over.store(true, Ordering::Relaxed);
    calls.join().ok().context("the busy session")??;
    if let Some(standing) = &standing {
        standing.shutdown(std::net::Shutdown::Both)?;
    }
    reads.map(thread::JoinHandle::join).transpose().ok().context("the reader")?;
    pings.sort_unstable();
    ensure!(!pings.is_empty(), "no ping was answered");
    Ok([pings.len() / 2, pings.len() * 99 / 100].map(|at| pings[at].as_secs_f64() * 1e6))
}

fn request(method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()
}

/// A session, and a connection that it asks on.
struct Session {
    address: SocketAddr,
    stream: TcpStream,
    head: String,
    read: Vec<u8>,
}

impl Session {
    fn begin(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let mut session = Self { address, stream, head: String::new(), read: Vec::new() };
        let client = json!({ "name": "bench", "version": "0" });
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
        let head = session.ask(&request("initialize", &params))?;
        let id = head.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).context("no session")?;
        session.head = format!("mcp-session-id: {id}\r\nmcp-protocol-version: 2025-11-25\r\n");
        session.ask(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string())?;
        Ok(session)
    }

    /// Asks, and reads the answer to its end; its head.
    fn ask(&mut self, body: &str) -> Result<String> {
        let (head, length) = (&self.head, body.len());
        let request = format!(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\n{head}content-length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(request.as_bytes())?;
        self.read.clear();
        let mut piece = [0; 16 * 1024];
        while !is_whole(&self.read) {
            let count = self.stream.read(&mut piece)?;
            ensure!(count > 0, "the connection ended");
            self.read.extend_from_slice(&piece[..count]);
        }
        let head = String::from_utf8_lossy(&self.read).into_owned();
        ensure!(head.starts_with("HTTP/1.1 20"), "{head}");
        Ok(head)
    }

    /// A connection that has the session's standalone stream.
    fn stand(&self) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(self.address)?;
        let head = &self.head;
        let get = format!("GET /mcp HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n{head}\r\n");
        stream.write_all(get.as_bytes())?;
        Ok(stream)
    }

    fn pings(&mut self, lasts: Duration) -> Result<Vec<Duration>> {
        let (ping, began, mut took) = (request("ping", &json!({})), Instant::now(), Vec::new());
        while began.elapsed() < lasts {
            let asked = Instant::now();
            self.ask(&ping)?;
            took.push(asked.elapsed());
        }
        Ok(took)
    }
}

/// Whether an answer has come to its end: the last chunk, or no body at all.
fn is_whole(read: &[u8]) -> bool {
    read.ends_with(b"\r\n0\r\n\r\n")
        || (read.ends_with(b"\r\n\r\n") && !read.windows(9).any(|at| at == b": chunked"))
}

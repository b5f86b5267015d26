//! What the daemon adds to a tool of an upstream MCP server: the same requests of the same client, straight at the server
//! and through the daemon, in turn.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::process::{Address, Process, free_address};
use crate::race::{Course, median};

/// The work's name on the command line.
pub const NAME: &str = "federated";

/// Requests in a row before the other has its turn.
const IN_A_ROW: usize = 20;
/// How long the daemon may take to have listed what the server offers.
const LISTED: Duration = Duration::from_secs(30);
/// A tool that answers at once.
const TOOL: &str = "test_simple_text";
/// Its server.
const SERVER: &str = "up";

/// One kind of request, in microseconds, the medians over the rounds.
pub struct Added {
    pub title: &'static str,
    pub straight: [f64; 2],
    pub through: [f64; 2],
    pub added: [f64; 2],
    pub requests: usize,
}

/// Measures listing, then calling. `server` is the built server of the conformance suite.
pub fn run(course: &Course, server: &Path) -> Result<[Added; 2]> {
    let at = free_address()?;
    let mut command = Command::new(server);
    let _server = Process::spawn(command.args(["--listen", &at.to_string()]), &Address::Tcp(at))?;
    let (home, door) = (tempfile::tempdir()?, free_address()?);
    let mut command = daemon(&course.ours, home.path(), at, door)?;
    let _daemon = Process::spawn(&mut command, &Address::Tcp(door))?;
    let mut clients = [Client::connect(at)?, Client::connect(door)?];
    let federated = format!("{SERVER}__{TOOL}");
    let begun = Instant::now();
    while !clients[1].ask("tools/list", &json!({}))?.contains(&federated) {
        ensure!(begun.elapsed() < LISTED, "the daemon does not list {federated}");
    }
    let list = || json!({});
    let call = |name: &str| json!({ "name": name, "arguments": {} });
    Ok([
        added("MCP, listing tools", course, &mut clients, ["tools/list"; 2], [list(), list()])?,
        added(
            "MCP, calling a tool",
            course,
            &mut clients,
            ["tools/call"; 2],
            [call(TOOL), call(&federated)],
        )?,
    ])
}

fn added(
    title: &'static str,
    course: &Course,
    clients: &mut [Client; 2],
    methods: [&str; 2],
    params: [Value; 2],
) -> Result<Added> {
    let mut rounds: Vec<[[f64; 2]; 2]> = Vec::new();
    let mut requests = 0;
    for _ in 0..course.rounds {
        let mut took = [Vec::new(), Vec::new()];
        let begun = Instant::now();
        while begun.elapsed() < course.turn * 2 {
            for (who, took) in took.iter_mut().enumerate() {
                for _ in 0..IN_A_ROW {
                    let asked = Instant::now();
                    let answer = clients[who].ask(methods[who], &params[who])?;
                    took.push(asked.elapsed().as_secs_f64() * 1e6);
                    ensure!(answer.contains("\"result\""), "{answer}");
                }
            }
        }
        requests += took[1].len();
        rounds.push(took.map(|mut took| {
            took.sort_unstable_by(f64::total_cmp);
            [took[took.len() / 2], took[took.len() * 99 / 100]]
        }));
    }
    let over = |figure: &dyn Fn(&[[f64; 2]; 2]) -> f64| median(rounds.iter().map(figure));
    let of = |who: usize| [0, 1].map(|at| over(&move |round| round[who][at]));
    let more = [0, 1].map(|at| over(&move |round| round[1][at] - round[0][at]));
    Ok(Added { title, straight: of(0), through: of(1), added: more, requests: requests / course.rounds })
}

/// The built binary with its defaults, and one upstream server.
fn daemon(binary: &Path, home: &Path, server: SocketAddr, door: SocketAddr) -> Result<Command> {
    let config = home.join("inferd.toml");
    let text = format!(
        "[mcp]\nlisten = \"{door}\"\n[[backends]]\nname = \"m\"\nkind = \"mock\"\n\
         [[servers]]\nid = \"{SERVER}\"\nurl = \"http://{server}/mcp\"\n"
    );
    fs::write(&config, text)?;
    let mut command = Command::new(binary);
    command.env_clear().env("HOME", home).env("XDG_RUNTIME_DIR", home).env("INFERD_CONFIG", &config);
    Ok(command)
}

/// A client with a session, one request at a time on one connection.
struct Client {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
    session: String,
    asked: u64,
}

impl Client {
    fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let mut client = Self { address, stream: BufReader::new(stream), session: String::new(), asked: 0 };
        let info = json!({ "name": "bench", "version": "1" });
        let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info });
        client.ask("initialize", &hello)?;
        client.post(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))?;
        Ok(client)
    }

    /// The whole answer as it came.
    fn ask(&mut self, method: &str, params: &Value) -> Result<String> {
        self.asked += 1;
        self.post(&json!({ "jsonrpc": "2.0", "id": self.asked, "method": method, "params": params }))
    }

    fn post(&mut self, message: &Value) -> Result<String> {
        let body = message.to_string();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\naccept: application/json, \
             text/event-stream\r\nmcp-protocol-version: 2025-11-25\r\n{}content-length: {}\r\n\r\n",
            self.address,
            self.session,
            body.len()
        );
        self.stream.get_mut().write_all((head + &body).as_bytes())?;
        let status = self.line()?;
        ensure!(status.starts_with("HTTP/1.1 20"), "{status}");
        let mut length = None;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            match line.split_once(": ") {
                Some(("content-length", bytes)) => length = Some(bytes.parse()?),
                Some(("mcp-session-id", id)) => self.session = format!("mcp-session-id: {id}\r\n"),
                Some(_) => {}
                None => break,
            }
        }
        match length {
            Some(length) => Ok(String::from_utf8(self.bytes(length)?)?),
            None => self.chunks(),
        }
    }

    fn chunks(&mut self) -> Result<String> {
        let mut body = Vec::new();
        loop {
            let length = usize::from_str_radix(&self.line()?, 16).context("no chunk")?;
            body.extend(self.bytes(length)?);
            self.line()?;
            if length == 0 {
                return Ok(String::from_utf8(body)?);
            }
        }
    }

    fn bytes(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.stream.read_line(&mut line)? > 0, "the connection has ended");
        line.truncate(line.trim_end().len());
        Ok(line)
    }
}

//! The processes that are measured. A process ends with the value that stands for it.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::race::Course;
use crate::work::Engine;

/// How long a process may take until it accepts connections.
const START: Duration = Duration::from_secs(10);
/// A token that is a word, as most are.
const TOKEN: &str = "word ";
/// So long that an answer never comes.
const FOREVER_MS: u64 = 3_600_000;
/// The unit of the times in /proc/PID/stat, which is the same on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// Which daemon.
#[derive(Clone, Copy, PartialEq)]
pub enum Side {
    Published,
    Ours,
}

/// Where something listens.
#[derive(Clone)]
pub enum Address {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

/// A running daemon.
pub struct Daemon {
    pub address: Address,
    process: Process,
    _home: TempDir,
}

impl Daemon {
    /// Starts one that answers from `engine`, and from `upstream` where that is a relay.
    pub fn start(
        side: Side,
        course: &Course,
        engine: Engine,
        tokens: usize,
        upstream: Option<&Upstream>,
    ) -> Result<Self> {
        let home = tempfile::tempdir()?;
        let (active, queue_depth) = if matches!(engine, Engine::Taken) { (1, 0) } else { (256, 1024) };
        let token_delay_ms = match engine {
            Engine::Mock { token_delay_ms } => token_delay_ms,
            Engine::Taken => FOREVER_MS,
            Engine::Relay { .. } => 0,
        };
        let (mut command, socket) = match side {
            Side::Published => {
                let socket = home.path().join("infer.sock");
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("published").arg("--socket").arg(&socket);
                command.args(["--active", &active.to_string(), "--queue-depth", &queue_depth.to_string()]);
                command.args(["--tokens", &tokens.to_string()]);
                command.args(["--token-delay-ms", &token_delay_ms.to_string()]);
                if let Some(upstream) = upstream {
                    command.args(["--upstream", &upstream.base_url()]);
                }
                (command, socket)
            }
            Side::Ours => {
                let backend = match upstream {
                    Some(upstream) => {
                        format!("kind = \"openai\"\nbase_url = \"{}\"\nmodels = [\"m\"]", upstream.base_url())
                    }
                    None => format!(
                        "kind = \"mock\"\ntokens = {:?}\ntoken_delay_ms = {token_delay_ms}",
                        vec![TOKEN; tokens]
                    ),
                };
                let config = home.path().join("inferd.toml");
                fs::write(
                    &config,
                    format!(
                        "[limits]\nconnections_max = 4096\n\
                         [admission]\nactive = {active}\nqueue_depth = {queue_depth}\n\
                         [[backends]]\nname = \"m\"\n{backend}\n"
                    ),
                )?;
                let mut command = Command::new(&course.ours);
                command.env_clear().env("HOME", home.path());
                command.env("XDG_RUNTIME_DIR", home.path()).env("INFERD_CONFIG", &config);
                (command, home.path().join("inferd/infer.sock"))
            }
        };
        let process = Process::spawn(&mut command, || UnixStream::connect(&socket).is_ok())?;
        Ok(Self { address: Address::Unix(socket), process, _home: home })
    }

    /// Processor time it has used.
    pub fn cpu(&self) -> Result<Duration> {
        self.process.cpu()
    }

    /// Memory it holds, in bytes.
    pub fn resident(&self) -> Result<usize> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<usize>()? * 1024)
    }
}

/// A running model server.
pub struct Upstream {
    pub address: SocketAddr,
    _process: Process,
}

impl Upstream {
    pub fn start(tokens: usize, events_per_chunk: usize) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["upstream", "--address", &address.to_string(), "--tokens", &tokens.to_string()]);
        command.args(["--events-per-chunk", &events_per_chunk.to_string()]);
        let process = Process::spawn(&mut command, || TcpStream::connect(address).is_ok())?;
        Ok(Self { address, _process: process })
    }

    fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }
}

struct Process(Child);

impl Process {
    fn spawn(command: &mut Command, accepts: impl Fn() -> bool) -> Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut process =
            Self(child.with_context(|| format!("starting {}", command.get_program().display()))?);
        let started = Instant::now();
        while !accepts() {
            if let Some(status) = process.0.try_wait()? {
                bail!("{} ended with {status} before it accepted", command.get_program().display());
            }
            ensure!(started.elapsed() < START, "{} does not accept", command.get_program().display());
            sleep(Duration::from_millis(5));
        }
        Ok(process)
    }

    fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        // The name may hold anything, so the fields are counted from behind it; user and system time are 14 and 15.
        let (_, fields) = stat.rsplit_once(')').context("no name in /proc/PID/stat")?;
        let times = fields.split_whitespace().skip(11).take(2);
        let ticks = times.map(str::parse::<u32>).sum::<Result<u32, _>>()?;
        Ok(TICK * ticks)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing left to do.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

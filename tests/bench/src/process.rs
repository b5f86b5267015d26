//! A process that ends with the value that stands for it, and where it listens.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// How long a process may take until it accepts connections. An interpreter that loads a thousand modules beside other
/// work needs most of it.
const START: Duration = Duration::from_mins(2);
/// The unit of the times in /proc/PID/stat, which is the same on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// Where something listens.
#[derive(Clone)]
pub enum Address {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl Address {
    pub fn dial(&self) -> Result<OwnedFd> {
        Ok(match self {
            Self::Unix(path) => UnixStream::connect(path)?.into(),
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                stream.into()
            }
        })
    }
}

/// A loopback address that nobody listens on.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A running process.
pub struct Process(Child);

impl Process {
    /// Starts `command` and waits until `address` accepts.
    pub fn spawn(command: &mut Command, address: &Address) -> Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut process =
            Self(child.with_context(|| format!("starting {}", command.get_program().display()))?);
        let started = Instant::now();
        while address.dial().is_err() {
            if let Some(status) = process.0.try_wait()? {
                bail!("{} ended with {status} before it accepted", command.get_program().display());
            }
            ensure!(started.elapsed() < START, "{} does not accept", command.get_program().display());
            sleep(Duration::from_millis(5));
        }
        Ok(process)
    }

    /// Processor time it has used, user and system.
    pub fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        // The name may hold anything, so the fields are counted from behind it; user and system time are 14 and 15.
        let (_, fields) = stat.rsplit_once(')').context("no name in /proc/PID/stat")?;
        let times = fields.split_whitespace().skip(11).take(2);
        let ticks = times.map(str::parse::<u32>).sum::<Result<u32, _>>()?;
        Ok(TICK * ticks)
    }

    /// Memory it holds, in bytes.
    pub fn resident(&self) -> Result<usize> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<usize>()? * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing left to do.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

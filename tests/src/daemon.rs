//! The built daemon as a process, in a home of its own.
//!
//! Invariants: a [`Home`] outlives every daemon started in it; a [`Daemon`] that is dropped is killed by its pid.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::PATIENCE;

/// Between two attempts to connect to a daemon that is starting.
const DIAL_EVERY: Duration = Duration::from_millis(5);

/// A machine for one daemon: a runtime directory, a configuration and an environment that hold nothing else.
#[derive(Debug)]
pub struct Home {
    dir: TempDir,
    env: Vec<(OsString, OsString)>,
}

impl Home {
    /// A home whose configuration is this TOML.
    ///
    /// # Errors
    /// When the directory or the file cannot be written.
    pub fn new(config: &str) -> Result<Self> {
        let home = Self { dir: tempfile::tempdir()?, env: Vec::new() };
        home.configure(config)?;
        Ok(home)
    }

    /// Adds a variable to the environment of every daemon started here.
    #[must_use]
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// Replaces the configuration; a running daemon sees it when it reloads.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn configure(&self, config: &str) -> Result<()> {
        std::fs::write(self.config(), config).context("writing the configuration")
    }

    /// Where the configuration is.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("inferd.toml")
    }

    /// `XDG_RUNTIME_DIR` of the daemon.
    #[must_use]
    pub fn runtime_dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where requests are taken.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.runtime_dir().join("inferd/infer.sock")
    }

    /// Where the daemon says how it is.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        self.runtime_dir().join("inferd/admin.sock")
    }

    /// Where the single-instance lock is.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.runtime_dir().join("inferd/daemon.lock")
    }

    /// Starts a daemon here and waits until it takes requests on every address it is configured for.
    ///
    /// # Errors
    /// When the binary is not built, ends before it takes requests, or does not take them in time.
    pub async fn start(self: &Arc<Self>) -> Result<Daemon> {
        let log = std::fs::File::create(self.log_path())?;
        let child = self.command(&[])?.stderr(log).spawn()?;
        let mut daemon = Daemon { home: Arc::clone(self), child };
        match timeout(PATIENCE, daemon.accepts()).await {
            Ok(accepts) => accepts?,
            Err(_) => bail!("the daemon takes no requests after {PATIENCE:?}; it said:\n{}", daemon.log()),
        }
        Ok(daemon)
    }

    /// Runs the daemon binary with these arguments until it ends: for a start that is meant to be refused.
    ///
    /// # Errors
    /// When the binary is not built or has not ended in time.
    pub async fn run(&self, args: &[&str]) -> Result<Output> {
        let output = self.command(args)?.stdout(Stdio::piped()).stderr(Stdio::piped()).output();
        Ok(timeout(PATIENCE, output).await.context("the daemon did not end")??)
    }

    fn command(&self, args: &[&str]) -> Result<Command> {
        let mut command = Command::new(built("inferd-daemon")?);
        command
            .args(args)
            .env_clear()
            .env("HOME", self.dir.path())
            .env("XDG_RUNTIME_DIR", self.runtime_dir())
            .env("INFERD_CONFIG", self.config())
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        Ok(command)
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("daemon.log")
    }
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    home: Arc<Home>,
    child: Child,
}

impl Daemon {
    /// A daemon with this configuration, in a home of its own, taking requests.
    ///
    /// # Errors
    /// As [`Home::start`].
    pub async fn start(config: &str) -> Result<Self> {
        Arc::new(Home::new(config)?).start().await
    }

    /// Where it lives.
    #[must_use]
    pub fn home(&self) -> &Arc<Home> {
        &self.home
    }

    /// Where it takes requests.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.home.socket()
    }

    /// Where it says how it is.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        self.home.admin_socket()
    }

    /// The TCP address its configuration names.
    ///
    /// # Errors
    /// When the configuration names none.
    pub fn tcp(&self) -> Result<SocketAddr> {
        configured_tcp(&self.home.config())?.context("the configuration has no `tcp` under [listen]")
    }

    /// Its process.
    ///
    /// # Errors
    /// When it has already ended.
    pub fn pid(&self) -> Result<u32> {
        self.child.id().context("the daemon has ended")
    }

    /// What it has written to standard error so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.log_path()).unwrap_or_else(|error| format!("(no log: {error})"))
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it has already ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid()?)?).context("zero is no pid")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        match timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => bail!("the daemon did not end; it said:\n{}", self.log()),
        }
    }

    /// Asks it to stop as a service manager does, and waits until it has.
    ///
    /// # Errors
    /// When it has already ended or does not end in time.
    pub async fn stop(mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.ended().await
    }

    async fn accepts(&mut self) -> Result<()> {
        let tcp = configured_tcp(&self.home.config())?;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the daemon ended with {status} before it took a request; it said:\n{}", self.log());
            }
            if UnixStream::connect(self.socket()).await.is_ok() {
                match tcp {
                    Some(address) if TcpStream::connect(address).await.is_err() => {}
                    _ => return Ok(()),
                }
            }
            sleep(DIAL_EVERY).await;
        }
    }
}

/// A loopback address nobody listened on a moment ago.
///
/// # Errors
/// When loopback has no free port.
pub fn free_address() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn configured_tcp(config: &Path) -> Result<Option<SocketAddr>> {
    let table: toml::Table = std::fs::read_to_string(config)?.parse()?;
    let address = table.get("listen").and_then(|listen| listen.get("tcp")).and_then(toml::Value::as_str);
    Ok(address.map(str::parse).transpose()?)
}

/// A binary of the workspace, built with the same profile as the running test.
fn built(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let profile = test.parent().and_then(Path::parent).context("a test lies in target/<profile>/deps")?;
    let binary = profile.join(name);
    ensure!(binary.is_file(), "{name} is not built beside this test: run `cargo build --workspace --bins` first");
    Ok(binary)
}

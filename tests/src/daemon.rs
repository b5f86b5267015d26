//! The built daemon as a process.
//!
//! Invariants: a [`Home`] outlives every daemon started in it; a [`Daemon`] that is dropped is killed by its pid.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use crate::{Home, PATIENCE};

/// Between two attempts to connect to a daemon that is starting.
const DIAL_EVERY: Duration = Duration::from_millis(5);

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
    /// As [`Daemon::start_in`].
    pub async fn start(config: &str) -> Result<Self> {
        Self::start_in(&Arc::new(Home::new(config)?)).await
    }

    /// Starts a daemon in a home and waits until it takes requests on every address it is configured for.
    ///
    /// # Errors
    /// When the binary is not built, ends before it takes requests, or does not take them in time.
    pub async fn start_in(home: &Arc<Home>) -> Result<Self> {
        let log = std::fs::File::create(home.log_path())?;
        let child = home.command("inferd-daemon")?.stderr(log).spawn()?;
        let mut daemon = Self { home: Arc::clone(home), child };
        match timeout(PATIENCE, daemon.accepts()).await {
            Ok(accepts) => accepts?,
            Err(_) => bail!("the daemon takes no requests after {PATIENCE:?}; it said:\n{}", daemon.log()),
        }
        Ok(daemon)
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
        self.home.tcp()?.context("the configuration has no `tcp` under [listen]")
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
        let tcp = self.home.tcp()?;
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

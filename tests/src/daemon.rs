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
use serde_json::{Value, json};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use crate::{Home, LineClient, PATIENCE};

/// Between two looks at what does not announce itself: a socket that is to appear, a count that is to fall.
const LOOK_EVERY: Duration = Duration::from_millis(5);

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
        let mut daemon = Self::spawn_in(home)?;
        match timeout(PATIENCE, daemon.accepts()).await {
            Ok(accepts) => accepts?,
            Err(_) => bail!("the daemon takes no requests after {PATIENCE:?}; it said:\n{}", daemon.log()),
        }
        Ok(daemon)
    }

    /// Starts a daemon in a home and does not wait for it.
    ///
    /// # Errors
    /// When the binary is not built.
    pub fn spawn_in(home: &Arc<Home>) -> Result<Self> {
        let log = std::fs::File::create(home.log_path())?;
        let child = home.command("inferd-daemon")?.stderr(log).spawn()?;
        Ok(Self { home: Arc::clone(home), child })
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

    /// Connects to its local socket.
    ///
    /// # Errors
    /// When it does not listen.
    pub async fn connect(&self) -> Result<LineClient> {
        LineClient::local(&self.socket()).await
    }

    /// Connects to its TCP address.
    ///
    /// # Errors
    /// When it does not listen.
    pub async fn connect_tcp(&self) -> Result<LineClient> {
        LineClient::tcp(self.tcp()?).await
    }

    /// The state of its queue and lanes, as the admin socket tells it.
    ///
    /// # Errors
    /// When it does not tell in time.
    pub async fn snapshot(&self) -> Result<Value> {
        self.until(|_| true).await
    }

    /// Waits until a snapshot satisfies `enough`.
    ///
    /// # Errors
    /// When that does not come in time.
    pub async fn until(&self, mut enough: impl FnMut(&Value) -> bool) -> Result<Value> {
        let mut admin = LineClient::local(&self.admin_socket()).await?;
        let mut last = Value::Null;
        let reached = timeout(PATIENCE, async {
            loop {
                admin.send(&json!({"type": "snapshot"})).await?;
                last = admin.frame().await?;
                while last["type"] == "status" {
                    last = admin.frame().await?;
                }
                // For a moment after it takes requests there is an error in its place: it has not quite started.
                if last["type"] == "snapshot" && enough(&last) {
                    return Ok(());
                }
                sleep(LOOK_EVERY).await;
            }
        });
        match reached.await {
            Ok(reached) => reached.map(|()| last),
            Err(_) => bail!("after {PATIENCE:?} the daemon is still at {last}"),
        }
    }

    /// Has it read its configuration again, and gives its answer.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub async fn reload(&self) -> Result<Value> {
        let mut admin = LineClient::local(&self.admin_socket()).await?;
        admin.send(&json!({"type": "reload"})).await?;
        loop {
            let frame = admin.frame().await?;
            if frame["type"] != "status" {
                return Ok(frame);
            }
        }
    }

    /// Waits until nothing runs and nothing waits, and holds it to that every lane is free again.
    ///
    /// # Errors
    /// When that does not come in time.
    pub async fn quiet(&self) -> Result<Value> {
        let idle = |lane: &Value| lane["running"] == 0;
        let lanes_idle = |snapshot: &Value| snapshot["lanes"].as_array().is_some_and(|l| l.iter().all(idle));
        self.until(|now| now["running"] == 0 && now["waiting"] == 0 && lanes_idle(now)).await
    }

    /// Its process as the system knows it.
    ///
    /// # Errors
    /// When it has already ended.
    pub fn process(&self) -> Result<Pid> {
        Pid::from_raw(i32::try_from(self.pid()?)?).context("zero is no pid")
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it has already ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(self.process()?, signal)?)
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
            sleep(LOOK_EVERY).await;
        }
    }
}

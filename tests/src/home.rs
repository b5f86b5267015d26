//! A machine for one daemon: where it runs, with which configuration and environment.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use crate::PATIENCE;

/// A runtime directory, a configuration and an environment that hold nothing else.
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

    /// Runs a binary of the workspace here until it ends.
    ///
    /// # Errors
    /// When the binary is not built or has not ended in time.
    pub async fn run(&self, program: &str, args: &[&str]) -> Result<Output> {
        let output = self.command(program)?.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).output();
        Ok(timeout(PATIENCE, output).await.with_context(|| format!("{program} did not end"))??)
    }

    /// A binary of the workspace, to be run here; without standard input and output until it is given some.
    ///
    /// # Errors
    /// When the binary is not built.
    pub fn command(&self, program: &str) -> Result<Command> {
        let mut command = Command::new(built(program)?);
        command
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

    /// Where a binary of the workspace is, for a program that starts it.
    ///
    /// # Errors
    /// When the binary is not built.
    pub fn binary(program: &str) -> Result<PathBuf> {
        built(program)
    }

    /// The TCP address the configuration names, if it does.
    pub(crate) fn tcp(&self) -> Result<Option<SocketAddr>> {
        let table: toml::Table = std::fs::read_to_string(self.config())?.parse()?;
        let address = table.get("listen").and_then(|listen| listen.get("tcp")).and_then(toml::Value::as_str);
        Ok(address.map(str::parse).transpose()?)
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.dir.path().join("daemon.log")
    }
}

/// A loopback address nobody listened on a moment ago.
///
/// # Errors
/// When loopback has no free port.
pub fn free_address() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A binary of the workspace, built with the same profile as the running test.
fn built(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let profile = test.parent().and_then(Path::parent).context("a test lies in target/<profile>/deps")?;
    let binary = profile.join(name);
    ensure!(
        binary.is_file(),
        "{name} is not built beside this test: run `cargo build --workspace --bins` first"
    );
    Ok(binary)
}

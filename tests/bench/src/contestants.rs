//! Who is measured, and how each is started.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::load::Wire;
use crate::process::{Address, Process, free_address};
use crate::race::Course;
use crate::upstream::Upstream;
use crate::work::Engine;
use crate::{litellm, published};

/// A token that is a word, as most are.
pub const TOKEN: &str = "word ";
/// So long that an answer never comes.
const FOREVER_MS: u64 = 3_600_000;

/// Who has a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contestant {
    /// The published daemon 0.2.0.
    Published,
    /// The daemon of this tree.
    Ours,
    /// LiteLLM's proxy. It relays only.
    LiteLlm,
    /// The server that the others relay, asked without one of them between.
    Straight,
}

/// What a contestant answers.
pub struct Job<'a> {
    pub engine: Engine,
    pub tokens: usize,
    /// The server to relay, where the engine is a relay.
    pub upstream: Option<&'a Upstream>,
}

/// A contestant that accepts.
pub struct Running {
    pub address: Address,
    process: Option<Process>,
    _home: TempDir,
}

impl Contestant {
    pub fn start(self, course: &Course, job: &Job) -> Result<Running> {
        let home = tempfile::tempdir()?;
        let (command, address) = match self {
            Self::Published => {
                let socket = home.path().join("infer.sock");
                (Some(published::command(&socket, job)?), Address::Unix(socket))
            }
            Self::Ours => {
                let command = ours(&course.ours, home.path(), job)?;
                (Some(command), Address::Unix(home.path().join("inferd/infer.sock")))
            }
            Self::LiteLlm => {
                let address = free_address()?;
                let program = course.litellm.as_deref().context("it is not installed")?;
                let command = litellm::command(program, home.path(), address, job.upstream()?)?;
                (Some(command), Address::Tcp(address))
            }
            Self::Straight => (None, Address::Tcp(job.upstream()?.address)),
        };
        let process = command.map(|mut command| Process::spawn(&mut command, &address)).transpose()?;
        Ok(Running { address, process, _home: home })
    }

    /// The language it is asked in; 0.2.0 relays on its v2 wire only.
    pub fn wire(self, engine: Engine) -> Wire {
        match (self, engine) {
            (Self::Published, Engine::Relay { .. }) => Wire::V2,
            (Self::Published | Self::Ours, _) => Wire::V1,
            (Self::LiteLlm | Self::Straight, _) => Wire::Http,
        }
    }

    /// How much longer than the others' its turn has to be for it to have answers enough.
    pub fn slowness(self) -> u32 {
        match self {
            Self::LiteLlm => 5,
            Self::Published | Self::Ours | Self::Straight => 1,
        }
    }
}

impl Job<'_> {
    /// Requests served at once, and requests that may wait.
    pub fn admission(&self) -> (usize, usize) {
        if matches!(self.engine, Engine::Taken) { (1, 0) } else { (256, 1024) }
    }

    pub fn token_delay_ms(&self) -> u64 {
        match self.engine {
            Engine::Mock { token_delay_ms } => token_delay_ms,
            Engine::Taken => FOREVER_MS,
            Engine::Relay { .. } => 0,
        }
    }

    fn upstream(&self) -> Result<&Upstream> {
        self.upstream.context("it can only relay")
    }
}

impl Running {
    /// Processor time used; none where nothing stands between the load and the server.
    pub fn cpu(&self) -> Result<Option<Duration>> {
        self.process.as_ref().map(Process::cpu).transpose()
    }

    /// Memory held, in bytes.
    pub fn resident(&self) -> Result<usize> {
        self.process.as_ref().context("it has no process")?.resident()
    }
}

/// The built binary with its defaults.
fn ours(binary: &Path, home: &Path, job: &Job) -> Result<Command> {
    let backend = match job.upstream {
        Some(upstream) => {
            format!("kind = \"openai\"\nbase_url = \"{}\"\nmodels = [\"m\"]", upstream.base_url())
        }
        None => format!(
            "kind = \"mock\"\ntokens = {:?}\ntoken_delay_ms = {}",
            vec![TOKEN; job.tokens],
            job.token_delay_ms()
        ),
    };
    let (active, queue_depth) = job.admission();
    let config = home.join("inferd.toml");
    fs::write(
        &config,
        format!(
            "[limits]\nconnections_max = 4096\n\
             [admission]\nactive = {active}\nqueue_depth = {queue_depth}\n\
             [[backends]]\nname = \"m\"\n{backend}\n"
        ),
    )?;
    let mut command = Command::new(binary);
    command.env_clear().env("HOME", home).env("XDG_RUNTIME_DIR", home).env("INFERD_CONFIG", &config);
    Ok(command)
}

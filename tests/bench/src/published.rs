//! The published daemon 0.2.0 as a process: its own library, over a Unix socket.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use inferd_daemon::endpoint::bind_uds;
use inferd_daemon::lifecycle::{AcceptContext, serve_uds};
use inferd_daemon::lifecycle_v2::serve_uds_v2;
use inferd_daemon::queue::Admission;
use inferd_daemon::router::Router;
use inferd_engine::mock::{Mock, MockConfig};
use inferd_engine::openai_compat::{OpenAiCompat, OpenAiCompatConfig};
use tokio::sync::oneshot;

use crate::contestants::{Job, TOKEN};

/// What it serves.
#[derive(Args)]
pub struct Arguments {
    #[arg(long)]
    socket: PathBuf,
    #[arg(long)]
    active: usize,
    #[arg(long)]
    queue_depth: usize,
    #[arg(long)]
    tokens: usize,
    #[arg(long)]
    token_delay_ms: u64,
    /// Relay this server instead of the mock; 0.2.0 does that on its v2 wire only.
    #[arg(long)]
    upstream: Option<String>,
}

/// The command that is it.
pub fn command(socket: &Path, job: &Job) -> Result<Command> {
    let (active, queue_depth) = job.admission();
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("published").arg("--socket").arg(socket);
    command.args(["--active", &active.to_string(), "--queue-depth", &queue_depth.to_string()]);
    command.args(["--tokens", &job.tokens.to_string()]);
    command.args(["--token-delay-ms", &job.token_delay_ms().to_string()]);
    if let Some(upstream) = job.upstream {
        command.args(["--upstream", &upstream.base_url()]);
    }
    Ok(command)
}

/// Serves until it is killed.
pub fn serve(arguments: &Arguments) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = bind_uds(&arguments.socket, None).await?;
        let admission = Admission::new(arguments.active, arguments.queue_depth);
        let context = AcceptContext { admission: Some(admission), ..AcceptContext::default() };
        let (_running, shutdown) = oneshot::channel();
        if let Some(base_url) = &arguments.upstream {
            let config = OpenAiCompatConfig { base_url: base_url.clone(), ..OpenAiCompatConfig::default() };
            let router = Router::new(vec![Arc::new(OpenAiCompat::new(config)?)]);
            serve_uds_v2(listener, Arc::new(router), context, shutdown).await?;
        } else {
            let config = MockConfig {
                tokens: vec![TOKEN.into(); arguments.tokens],
                token_delay_ms: (arguments.token_delay_ms > 0).then_some(arguments.token_delay_ms),
                ..MockConfig::default()
            };
            let router = Router::new(vec![Arc::new(Mock::with_config(config))]);
            serve_uds(listener, Arc::new(router), context, shutdown).await?;
        }
        Ok(())
    })
}

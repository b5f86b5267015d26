//! The daemon's binary: flags, logs, signals; the rest is the library.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use inferd_daemon::config::{Overrides, Source};
use inferd_daemon::{process, signals};
use tracing_subscriber::EnvFilter;

/// One inference daemon that every program on this machine shares.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The configuration file.
    #[arg(long, env = "INFERD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print what would run, and exit.
    #[arg(long)]
    check_config: bool,
    #[command(flatten)]
    overrides: Overrides,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let filter = EnvFilter::try_from_env("INFERD_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // That library says what clients send and are sent, and calls it an error when one of them leaves.
    let filter = filter.add_directive("rmcp=off".parse()?);
    let colour = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour).with_writer(std::io::stderr).init();
    let source = Source { file: args.config, overrides: args.overrides };
    if args.check_config {
        print!("{}", source.read()?.describe());
        return Ok(ExitCode::SUCCESS);
    }
    tokio::runtime::Runtime::new().context("cannot start the runtime")?.block_on(run(source))
}

/// Runs until a signal has ended it; a second one does not wait.
async fn run(source: Source) -> anyhow::Result<ExitCode> {
    let (mut ends, reloads) = signals::listen().context("cannot listen for signals")?;
    let daemon = tokio::select! {
        started = process::start(source) => started?,
        code = ends.next() => return Ok(code.into()),
    };
    tracing::info!(local = %daemon.sockets().local.display(), tcp = ?daemon.sockets().tcp, mcp = ?daemon.sockets().mcp, "serving");
    let (drain, reloader) = (daemon.drain_token(), daemon.reloader());
    let mut stopped = std::pin::pin!(daemon.stopped());
    tokio::select! {
        () = &mut stopped => return Ok(ExitCode::SUCCESS),
        _ = ends.next() => drain.cancel(),
        never = reloader.heed(reloads) => match never {},
    }
    tokio::select! {
        () = stopped => Ok(ExitCode::SUCCESS),
        code = ends.next() => Ok(code.into()),
    }
}

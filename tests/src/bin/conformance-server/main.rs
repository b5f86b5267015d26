//! The fixtures of the official MCP conformance suite, served as the daemon serves its own tools.

mod fixtures;

use std::net::SocketAddr;

use anyhow::Context;
use clap::Parser;
use inferd_daemon::mcp::{McpConfig, SessionStore, Stop, serve};
use tokio::net::TcpListener;
use tokio::sync::watch;

use fixtures::Fixtures;

/// Serves what the conformance suite looks for, until SIGINT.
#[derive(Debug, Parser)]
struct Args {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let listener =
        TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    println!("http://{}/mcp", listener.local_addr()?);
    let (fixtures, stop) = (Fixtures::default(), Stop::default());
    let served = serve(
        listener,
        watch::Sender::new(McpConfig::default()).subscribe(),
        move || fixtures.clone(),
        SessionStore::new(),
        stop.clone(),
    );
    tokio::pin!(served);
    tokio::select! {
        served = &mut served => return served.context("the listener ended"),
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot listen for signals")?,
    }
    stop.end();
    served.await.context("the listener ended")
}

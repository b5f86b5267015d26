//! The command line of inferd, and the async client library under it.
//!
//! [`client`] speaks protocol v1 to a daemon and [`admin`] its admin socket; other programs use these. The rest turns
//! a command line into requests, answers into text, and every way a request can end into an exit code.
//!
//! Invariants:
//! - Standard output carries answers only; whatever else there is to say goes to standard error.
//! - Every command ends with an [`Exit`]; a fault of the daemon or of the network is one, never a panic.

pub mod admin;
mod agent;
mod args;
mod ask;
mod call;
mod chat;
pub mod client;
mod console;
mod embed;
mod embedded;
mod exit;
mod feature;
mod link;
mod log;
mod mcp;
mod models;
mod platform;
mod reload;
mod screen;
mod servers;
mod status;
mod table;
mod tools;
mod turn;
mod waiting;
mod words;

pub use args::Cli;
pub use exit::Exit;

/// Does what the command line says.
///
/// # Errors
/// What went wrong on this side: standard input or output, not the daemon.
pub async fn run(cli: Cli) -> anyhow::Result<Exit> {
    match cli.command {
        args::Command::Chat(args) => chat::run(args, &cli.reach).await,
        args::Command::Ask(args) => ask::run(args, &cli.reach).await,
        args::Command::Embed(args) => embed::run(args, &cli.reach).await,
        args::Command::Models(args) => models::run(&args, &cli.reach).await,
        args::Command::Servers(args) => servers::run(&args, &cli.reach).await,
        args::Command::Tools(args) => tools::run(&args, &cli.reach).await,
        args::Command::Call(args) => call::run(args, &cli.reach).await,
        args::Command::Agent(args) => agent::run(args, &cli.reach).await,
        args::Command::Status(args) => status::run(&args, &cli.reach).await,
        args::Command::Log(args) => log::run(&args, &cli.reach),
        args::Command::Mcp => mcp::run(&cli.reach).await,
        args::Command::Reload => Ok(reload::run(&cli.reach).await),
    }
}

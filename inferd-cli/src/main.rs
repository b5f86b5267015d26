//! `inferd-cli`: the program people type.

use std::process::ExitCode;

use clap::Parser;
use inferd_cli::{Cli, Exit, run};
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = Runtime::new().map_err(Into::into).and_then(|runtime| {
        let ended = runtime.block_on(run(cli));
        // A thread may be waiting for a line that nobody needs any more.
        runtime.shutdown_background();
        ended
    });
    let exit = ended.unwrap_or_else(|error| {
        eprintln!("inferd-cli: {error:#}");
        Exit::Internal
    });
    exit.into()
}

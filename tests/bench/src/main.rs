//! The published daemon 0.2.0, and LiteLLM where it can do the work, beside ours: the same load on each in turn, in one
//! run on one machine.
//!
//! They and the model server they relay are processes of their own; the published daemon and the server are this program
//! under another name of its first argument. The load is one thread over epoll that looks for the ends of answers in the
//! bytes and parses nothing, so that it takes as little as it can of the cores it shares with what it measures.

mod contestants;
mod federated;
mod idle;
mod litellm;
mod load;
mod process;
mod published;
mod race;
mod report;
mod stalled;
mod upstream;
mod work;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};

use crate::contestants::Contestant;
use crate::race::Course;
use crate::work::WORKS;

#[derive(Parser)]
#[command(about, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// The built daemon to measure.
    #[arg(long, default_value = "../../target/release/inferd-daemon")]
    ours: PathBuf,
    /// The built server of the conformance suite, as an upstream of ours.
    #[arg(long, default_value = "../../target/release/conformance-server")]
    mcp_server: PathBuf,
    /// How often each contestant has its turn.
    #[arg(long, default_value = "5")]
    rounds: NonZeroUsize,
    /// How long a turn lasts, in seconds; those of a slow contestant last longer.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Which works to run, all if none is named.
    works: Vec<String>,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    /// Be the published daemon.
    #[command(hide = true)]
    Published(published::Arguments),
    /// Be a model server that is as fast as it can be.
    #[command(hide = true)]
    Upstream(upstream::Arguments),
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.part {
        Some(Part::Published(arguments)) => published::serve(&arguments),
        Some(Part::Upstream(arguments)) => upstream::serve(&arguments),
        None => measure(&arguments),
    }
}

fn measure(arguments: &Arguments) -> Result<()> {
    for name in &arguments.works {
        let others = [idle::NAME, stalled::NAME, federated::NAME];
        let known: Vec<_> = WORKS.iter().map(|work| work.name).chain(others).collect();
        ensure!(known.contains(&name.as_str()), "no work {name:?}; there are {}", known.join(", "));
    }
    let chosen =
        |name: &str| arguments.works.is_empty() || arguments.works.iter().any(|chosen| chosen == name);
    let works: Vec<_> = WORKS.iter().filter(|work| chosen(work.name)).collect();
    let has_litellm = works.iter().any(|work| work.contestants.contains(&Contestant::LiteLlm));
    let course = Course {
        ours: arguments.ours.canonicalize()?,
        litellm: if has_litellm { litellm_if_to_be_had() } else { None },
        rounds: arguments.rounds.get(),
        turn: Duration::from_secs_f64(arguments.seconds),
    };

    report::head();
    for work in works {
        report::row(work, &race::run(&course, work)?);
    }
    if chosen(idle::NAME) {
        report::idle(&idle::run(&course)?);
    }
    if chosen(stalled::NAME) {
        report::stalled(&stalled::run(&course)?);
    }
    if chosen(federated::NAME) {
        report::federated(&federated::run(&course, &arguments.mcp_server)?);
    }
    Ok(())
}

/// LiteLLM, or a word on why its column stays empty.
fn litellm_if_to_be_had() -> Option<PathBuf> {
    litellm::install().inspect_err(|error| eprintln!("LiteLLM is left out: {error:#}")).ok()
}

//! The published daemon 0.2.0 beside ours: the same load on both in turn, in one run on one machine.
//!
//! Both daemons and the model server they relay are processes of their own; the latter two are this program under
//! another name of its first argument. The load is one thread over epoll that looks for the ends of answers in the
//! bytes and parses nothing, so that it takes as little as it can of the cores it shares with what it measures.

mod daemons;
mod idle;
mod load;
mod published;
mod race;
mod report;
mod upstream;
mod work;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};

use crate::race::Course;
use crate::work::WORKS;

#[derive(Parser)]
#[command(about, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// The built daemon to measure.
    #[arg(long, default_value = "../../target/release/inferd-daemon")]
    ours: PathBuf,
    /// How often each daemon has its turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long a turn lasts, in seconds.
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
        let known: Vec<_> = WORKS.iter().map(|work| work.name).chain([idle::NAME]).collect();
        ensure!(known.contains(&name.as_str()), "no work {name:?}; there are {}", known.join(", "));
    }
    let chosen =
        |name: &str| arguments.works.is_empty() || arguments.works.iter().any(|chosen| chosen == name);
    let course = Course {
        ours: arguments.ours.canonicalize()?,
        rounds: arguments.rounds,
        turn: Duration::from_secs_f64(arguments.seconds),
    };

    report::head();
    for work in WORKS.iter().filter(|work| chosen(work.name)) {
        report::row(work, &race::run(&course, work)?);
    }
    if chosen(idle::NAME) {
        report::idle(&idle::run(&course)?);
    }
    Ok(())
}

//! The built daemon from outside, one file per promise: real processes, real sockets, the real clock.
#![cfg(unix)]

mod agent_turns;
mod another_daemon;
mod chaos;
mod fair_order;
mod keys;
mod kill_nine;
mod limits;
mod malformed_lines;
mod many_servers;
mod mcp;
mod mcp_crowds;
mod mutated_lines;
mod reloading;
mod reloading_under_load;
mod remembering;
mod service_manager;
mod slow_lanes;
mod start_up;
mod stopping;
mod two_lanes;
mod upstream_faults;
mod vanishing_clients;
mod whole_answers;

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

/// What people read beside a passed test: the time something took.
fn report(what: &str, took: &[Duration]) {
    let mut took: Vec<_> = took.to_vec();
    took.sort_unstable();
    let shown = |at: Option<&Duration>| at.map_or(0.0, |took| took.as_secs_f64() * 1e3);
    println!("{what}: {:.1} ms at best, {:.1} ms at worst", shown(took.first()), shown(took.last()));
}

/// The text of a field.
fn text<'a>(frame: &'a Value, field: &str) -> Result<&'a str> {
    frame[field].as_str().with_context(|| format!("no text in `{field}` of {frame}"))
}

/// The code of an error frame.
fn code(frame: &Value) -> Result<&str> {
    text(frame, "code")
}

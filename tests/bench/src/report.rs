//! The table, in Markdown.

use crate::idle::Bytes;
use crate::race::{Finish, Medians};
use crate::work::{Counts, Work};

pub fn head() {
    println!("| work | | published 0.2.0 | ours | ours ÷ published | straight at the server |");
    println!("|---|---|---:|---:|---:|---:|");
}

pub fn row(work: &Work, finish: &Finish) {
    let (rate, cpu) = match work.counts {
        Counts::Requests => ("requests/s", "cpu µs a request"),
        Counts::Tokens => ("tokens/s", "cpu µs a token"),
    };
    let Finish { published, ours, direct } = finish;
    let straight = |text: fn(&Medians) -> String| direct.as_ref().map(text).unwrap_or_default();
    println!(
        "| {} | {rate} | {} | {} | {:.2} | {} |",
        work.title,
        thousands(published),
        thousands(ours),
        ours.rate / published.rate,
        straight(thousands),
    );
    println!(
        "| | {cpu} | {:.2} | {:.2} | {:.2} | |",
        published.cpu_micros,
        ours.cpu_micros,
        ours.cpu_micros / published.cpu_micros,
    );
    if published.p50_micros.is_finite() {
        println!(
            "| | p50 / p99 of an answer, µs | {} | {} | {:.2} / {:.2} | {} |",
            latency(published),
            latency(ours),
            ours.p50_micros / published.p50_micros,
            ours.p99_micros / published.p99_micros,
            straight(latency),
        );
    }
}

pub fn idle(bytes: &Bytes) {
    let (published, ours) = (bytes.published / 1024.0, bytes.ours / 1024.0);
    println!("| an idle connection | KiB | {published:.1} | {ours:.1} | {:.2} | |", ours / published);
}

fn thousands(medians: &Medians) -> String {
    format!("{:.0} k", medians.rate / 1e3)
}

fn latency(medians: &Medians) -> String {
    format!("{:.0} / {:.0}", medians.p50_micros, medians.p99_micros)
}

//! The table, in Markdown.

use crate::contestants::Contestant::{self, LiteLlm, Ours, Published, Straight};
use crate::federated::Added;
use crate::idle::Bytes;
use crate::litellm;
use crate::race::{Figure, Finish};
use crate::stalled::Pings;
use crate::work::{Counts, Work};

/// The contestants' columns; how ours compares with the published one comes after the second.
const COLUMNS: [Contestant; 4] = [Published, Ours, LiteLlm, Straight];
const PERCENTILES: [Figure; 2] = [|turn| turn.p50_micros, |turn| turn.p99_micros];

pub fn head() {
    let litellm = litellm::version();
    println!(
        "| work | | published 0.2.0 | ours | ours ÷ published | LiteLLM {litellm} | straight at the server |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|");
}

pub fn row(work: &Work, finish: &Finish) {
    let (rate, cpu) = match work.counts {
        Counts::Requests => ("requests/s", "cpu µs a request"),
        Counts::Tokens => ("tokens/s", "cpu µs a token"),
    };
    let median = |who, figure| finish.median(who, figure);
    line(work.title, rate, [|turn| turn.rate], median, thousands);
    line("", cpu, [|turn| turn.cpu_micros], median, |micros| format!("{micros:.2}"));
    line("", "p50 / p99 of an answer, µs", PERCENTILES, median, whole);
    if work.adds() {
        let over_straight = |who, figure| finish.over_straight(who, figure);
        line("", "of it added to the server's, µs", PERCENTILES, over_straight, whole);
    }
    if work.contestants.contains(&LiteLlm) {
        // Turns differ in length, so that nothing is to be compared here.
        let answers = COLUMNS.map(|who| join([finish.median(who, |turn| turn.answers)], whole));
        let [published, ours, litellm, straight] = answers;
        println!("| | answers in a turn | {published} | {ours} | | {litellm} | {straight} |");
    }
}

pub fn idle(bytes: &Bytes) {
    let (published, ours) = (bytes.published / 1024.0, bytes.ours / 1024.0);
    println!("| an idle connection | KiB | {published:.1} | {ours:.1} | {:.2} | | |", ours / published);
}

pub fn federated(rows: &[Added]) {
    for Added { title, straight, through, added, requests } in rows {
        let [straight, through, added] = [straight, through, added].map(|pair| join(*pair, whole));
        println!("| {title} | p50 / p99 of an answer, µs | | {through} | | | {straight} |");
        println!("| | of it added to the server's, µs | | {added} | | | 0 / 0 |");
        println!("| | answers in a turn | | {requests} | | | {requests} |");
    }
}

/// Ours alone: 0.2.0 has no such streams.
pub fn stalled(pings: &Pings) {
    let Pings { nobody, reading, stalled } = pings;
    let title = "a ping beside a busy MCP session";
    for (who, took) in [("nobody reads", nobody), ("somebody reads", reading), ("somebody stalls", stalled)] {
        let change = (took[0] / nobody[0] - 1.0) * 100.0;
        let took = join(*took, whole);
        println!("| {title} | p50 / p99, µs, where {who} its stream | | {took} ({change:+.1} %) | | | |");
    }
}

/// One line of the table; what nobody has is left out.
fn line<const N: usize>(
    title: &str,
    what: &str,
    figures: [Figure; N],
    of: impl Fn(Contestant, Figure) -> f64,
    text: fn(f64) -> String,
) {
    let [published, ours, litellm, straight] =
        COLUMNS.map(|who| join(figures.map(|figure| of(who, figure)), text));
    let ratios = figures.map(|figure| of(Ours, figure) / of(Published, figure));
    let ratios = join(ratios, |ratio| format!("{ratio:.2}"));
    if !ours.is_empty() {
        println!("| {title} | {what} | {published} | {ours} | {ratios} | {litellm} | {straight} |");
    }
}

/// What is known of the values.
fn join<const N: usize>(values: [f64; N], text: fn(f64) -> String) -> String {
    let known: Vec<_> = values.into_iter().filter(|value| value.is_finite()).map(text).collect();
    known.join(" / ")
}

fn thousands(rate: f64) -> String {
    if rate < 10e3 { format!("{:.2} k", rate / 1e3) } else { format!("{:.0} k", rate / 1e3) }
}

fn whole(value: f64) -> String {
    format!("{value:.0}")
}

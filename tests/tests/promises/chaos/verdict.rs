//! What a transcript is worth.

use std::collections::HashSet;

use anyhow::{Context, Result, bail, ensure};

use super::caller::Transcript;
use super::plan::Form;
use crate::{code, text};

/// How one request ended. Everything else is a broken promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// With the whole answer.
    Served,
    /// With a part of it, as its caller wished.
    Cancelled,
    /// With an error, after a lane had begun to answer and broken off.
    BrokenOff,
    /// With an error before that.
    Failed,
    /// Its caller left.
    Left,
}

/// Judges a transcript. `broken_off` has the name of each lane, and the requests whose answers it broke off.
pub(super) fn judge(
    transcript: &Transcript,
    broken_off: &[(&'static str, HashSet<usize>)],
) -> Result<Verdict> {
    let ask = &transcript.ask;
    let streamed = transcript.streamed();
    ensure!(ask.form == Form::Streamed || streamed.is_empty(), "tokens nobody asked for");
    // The text, if there is any, tells its lane.
    let lane_of = |text: &str| broken_off.iter().find(|(name, _)| text.starts_with(&format!("{name}:")));
    let is_beginning = |text: &str| match lane_of(text) {
        Some((lane, _)) => ask.answer(lane).concat().starts_with(text),
        None => text.is_empty(),
    };
    ensure!(is_beginning(&streamed), "not the beginning of the answer: {streamed:?}");

    let Some(terminal) = &transcript.terminal else { return Ok(Verdict::Left) };
    if terminal["type"] == "error" {
        let begun = match lane_of(&streamed) {
            Some((lane, broken_off)) => {
                ensure!(broken_off.contains(&ask.number), "{lane} did not break off: {terminal}");
                true
            }
            // In one piece nothing is seen of an answer that breaks off: it is the lane that knows.
            None => ask.form != Form::Streamed && broken_off.iter().any(|(_, of)| of.contains(&ask.number)),
        };
        ensure!(!text(terminal, "message")?.is_empty(), "an error that says nothing");
        ensure!(code(terminal)? == "backend_unavailable", "not what happened: {terminal}");
        return Ok(if begun { Verdict::BrokenOff } else { Verdict::Failed });
    }

    let content = text(terminal, "content")?;
    ensure!(ask.form != Form::Streamed || content == streamed, "{content:?} is not what was streamed");
    match text(terminal, "stop_reason")? {
        "cancelled" => {
            ensure!(ask.cancel_after.is_some(), "nobody cancelled it");
            ensure!(is_beginning(content), "not the beginning of the answer: {content:?}");
            Ok(Verdict::Cancelled)
        }
        "end" => {
            let (lane, _) = lane_of(content).with_context(|| format!("an answer of no lane: {content:?}"))?;
            let whole = ask.answer(lane);
            ensure!(content == whole.concat(), "not the whole answer: {content:?}");
            ensure!(terminal["usage"]["completion_tokens"] == whole.len(), "a wrong count: {terminal}");
            ensure!(terminal["backend"] == *lane, "it was {lane} that answered: {terminal}");
            Ok(Verdict::Served)
        }
        other => bail!("stopped for {other}"),
    }
}

//! A call of one tool of an upstream server: made once, answered in one frame.
//!
//! Invariants:
//! - The call is passed on at most once, and cancelled on its server when nobody waits for it any more.
//! - What the tool says of its progress is left out where the client does not read.

use std::sync::Arc;
use std::time::Duration;

use inferd_proto::{CallRequest, Called, ErrorCode, Usage};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::call::{Call, Stage};
use super::dispatch::Desk;
use super::wire::{About, cancelled, put_status, put_whole, refuse};
use crate::answer::Said;
use crate::audit::{Asked, Entry, Kind, Outcome};
use crate::upstream::{CallError, CallResult, Progress};

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{}", words(.0))]
    Failed(CallError),
    #[error("deadline_ms of {} ms passed", .0.as_millis())]
    Late(Duration),
    #[error("cancelled")]
    Cancelled,
}

/// Runs a call to its terminal frame.
pub(super) async fn run(
    call: Arc<Call>,
    desk: Arc<Desk>,
    request: CallRequest,
    received: Instant,
) -> Arc<Call> {
    let Desk { service, caller, .. } = &*desk;
    let catalogue = service.agents.upstreams().catalogue();
    let tool = catalogue.tool(&request.tool);
    let asked = || {
        let bytes = serde_json::to_vec(&request.arguments).map_or(0, |json| json.len());
        Asked { kind: Kind::Call, model: tool.map(|tool| tool.name.as_str()), bytes }
    };
    let mut entry = Entry::open(service, caller, received, asked);
    if let Some(tool) = tool {
        entry.runs(&tool.server);
    }
    let name = tool.map_or_else(|| request.tool.clone(), |tool| tool.name.clone());
    drop(catalogue);
    call.set_stage(Stage::Running);
    match result(&call, &desk, request, &name, received).await {
        Ok(result) => {
            entry.says(bytes(&result));
            entry.served(Usage::default(), None, None);
            if result.is_error {
                entry.ended(Outcome::Failed("tool_failed"));
            }
            answer(&desk, call.id(), name, result);
        }
        Err(Ended::Cancelled) => {
            entry.ended(Outcome::CANCELLED);
            cancelled(&desk, call.id());
        }
        Err(error) => {
            tracing::debug!(id = call.id(), %error, "tool call failed");
            let (code, outcome) = verdict(&error);
            entry.ended(outcome);
            refuse(&desk, call.id(), Said { code, retry_after: None, queue: None }, &error);
        }
    }
    call.set_stage(Stage::Speaking);
    call
}

/// Calls the tool, and waits as long as somebody wants it to.
async fn result(
    call: &Call,
    desk: &Desk,
    request: CallRequest,
    name: &str,
    received: Instant,
) -> Result<CallResult, Ended> {
    let deadline = request.deadline();
    let wants_progress = request.progress.unwrap_or(false);
    let status = |status, progress| {
        if wants_progress {
            put_status(desk, call.id(), status, "", About { tool: Some(name), progress, ..About::default() });
        }
    };
    let tell = |said: Progress| {
        if desk.outbox.has_room() {
            let Progress { progress: done, total, message } = said;
            status("calling", Some(inferd_proto::Progress { done, total, message }));
        }
    };
    status("calling", None);
    let upstreams = desk.service.agents.upstreams();
    tokio::select! {
        biased;
        result = upstreams.call(&request.tool, Some(request.arguments), tell) => {
            let is_served = result.as_ref().is_ok_and(|result| !result.is_error);
            status(if is_served { "called" } else { "failed" }, None);
            result.map_err(Ended::Failed)
        }
        () = call.cancelled() => Err(Ended::Cancelled),
        after = passing(deadline, received) => Err(Ended::Late(after)),
    }
}

async fn passing(deadline: Option<Duration>, from: Instant) -> Duration {
    match deadline.and_then(|after| Some((after, from.checked_add(after)?))) {
        Some((after, at)) => {
            sleep_until(at).await;
            after
        }
        // One that no clock can name is none.
        None => std::future::pending().await,
    }
}

fn answer(desk: &Desk, id: &str, tool: String, result: CallResult) {
    let CallResult { content, structured, is_error, .. } = result;
    let called = Called { id: id.to_owned(), tool, content, structured, is_error };
    put_whole(desk, id, &called, |max| format!("tool: its result exceeds a frame of {max} bytes"));
}

/// What the error is on the wire and in the log.
fn verdict(error: &Ended) -> (ErrorCode, Outcome) {
    match error {
        Ended::Failed(error) if error.blames_the_call() => (ErrorCode::InvalidRequest, error.into()),
        Ended::Failed(error) => (ErrorCode::BackendUnavailable, error.into()),
        Ended::Late(_) => (ErrorCode::DeadlineExceeded, Outcome::Failed("deadline_exceeded")),
        Ended::Cancelled => (ErrorCode::Internal, Outcome::CANCELLED),
    }
}

fn words(error: &CallError) -> String {
    match error {
        CallError::Unknown { name, .. } => format!("tool: there is no tool {name:?}"),
        error => error.to_string(),
    }
}

/// Bytes of text in a result.
fn bytes(result: &CallResult) -> usize {
    let texts = result.content.iter().filter_map(|block| block.get("text").and_then(Value::as_str));
    texts.map(str::len).sum()
}

//! Runs the tools that a model called in one turn.
//!
//! Invariants:
//! - Every call has one result, in the order of the calls. Whatever goes wrong with a call is its result.
//! - All run at once, within the session's task: dropping the future ends all of them.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::join_all;
use inferd_proto::{Body, ToolCall};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep_until};

use super::event::AgentEvent;
use super::feed::Feed;
use super::limits::Limits;
use super::transcript::shown;
use crate::tools::{ClientTool, Offer, Progress, ToolError, ToolInvocation, ToolOutput};

/// The calls of one turn.
pub(super) struct Calls<'a> {
    pub(super) step: u32,
    pub(super) offer: &'a Offer,
    pub(super) limits: &'a Limits,
    pub(super) feed: &'a Feed,
}

impl Calls<'_> {
    /// What the model reads of each.
    pub(super) async fn run(&self, calls: &[ToolCall]) -> Vec<Body> {
        for call in calls {
            let (step, tool, call) = (self.step, self.full_name(call), call.clone());
            self.feed.send(AgentEvent::Calling { step, tool, call }).await;
        }
        join_all(calls.iter().enumerate().map(|(index, call)| self.run_one(index, call))).await
    }

    async fn run_one(&self, index: usize, call: &ToolCall) -> Body {
        let began = Instant::now();
        let outcome = self.outcome(index, call).await;
        let (body, is_error) = shown(outcome, self.limits.result_bytes_max);
        let (step, tool, call_id) = (self.step, self.full_name(call), call.id.clone());
        self.feed.send(AgentEvent::Called { step, tool, call_id, is_error, took: began.elapsed() }).await;
        body
    }

    async fn outcome(&self, index: usize, call: &ToolCall) -> Result<ToolOutput, ToolError> {
        if index >= self.limits.calls_max {
            let max = self.limits.calls_max;
            return Err(ToolError::Unavailable(format!("at most {max} calls are made in one turn")));
        }
        let name = &call.function.name;
        let tool = self.offer.lookup(name).ok_or_else(|| ToolError::Unknown(name.clone()))?;
        let arguments = arguments(&call.function.arguments)?;
        self.execute(tool, &call.id, arguments).await
    }

    /// Runs a tool while it says something from time to time.
    async fn execute(
        &self,
        tool: &ClientTool,
        call_id: &str,
        arguments: Map<String, Value>,
    ) -> Result<ToolOutput, ToolError> {
        let Limits { tool_timeout, tool_timeout_max, .. } = *self.limits;
        let began = Instant::now();
        let (progress, mut watched) = Progress::watched();
        // Begun within the guard: an executor may break down before it gives a future.
        let running = async { tool.execute(ToolInvocation { arguments, progress }).await };
        let running = AssertUnwindSafe(running).catch_unwind();
        tokio::pin!(running);
        let in_all = sleep_until(began + tool_timeout_max);
        tokio::pin!(in_all);
        let quiet = sleep_until(began + tool_timeout);
        tokio::pin!(quiet);
        loop {
            let report = tokio::select! {
                biased;
                outcome = &mut running => return outcome.unwrap_or_else(|_panic| {
                    tracing::error!(tool = tool.name(), "a tool broke down");
                    Err(ToolError::Panicked)
                }),
                () = &mut in_all => return Err(ToolError::TimedOut(tool_timeout_max)),
                report = watched.next() => report,
                () = &mut quiet => return Err(ToolError::TimedOut(tool_timeout)),
            };
            quiet.as_mut().reset(Instant::now() + tool_timeout);
            let (step, tool, call_id) = (self.step, tool.name().to_owned(), call_id.to_owned());
            self.feed.offer(AgentEvent::Progress { step, tool, call_id, report });
        }
    }

    /// What the tool is called here, or what the model called that there is not.
    fn full_name(&self, call: &ToolCall) -> String {
        let name = &call.function.name;
        self.offer.lookup(name).map_or(name.as_str(), ClientTool::name).to_owned()
    }
}

/// The arguments that a model wrote, which may be anything. Nothing, and `null`, stand for none.
fn arguments(written: &str) -> Result<Map<String, Value>, ToolError> {
    if written.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(written) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(ToolError::InvalidArguments("they are no JSON object".to_owned())),
        Err(error) => Err(ToolError::InvalidArguments(format!("they are no JSON: {error}"))),
    }
}

//! The life of a session: a turn of the model, the tools it calls, the next turn, until it answers.
//!
//! Invariants:
//! - A turn's stream is dropped before its tools run: no permit is held while they do.
//! - Dropping the future at any point drops the stream or the calls under way.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use inferd_proto::{Content, Resolved, Role, StopReason, ToolCall, Usage};
use tokio::task::coop::consume_budget;
use tokio::time::Instant;

use super::api::RunStream;
use super::calls::Calls;
use super::event::AgentEvent;
use super::feed::Feed;
use super::limits::Limits;
use super::result::{AgentFailure, AgentResult};
use super::transcript::{Transcript, tell_apart};
use crate::TokenEvent;
use crate::tools::Offer;

/// What a session works with.
pub(super) struct Turns {
    pub(super) runs: Arc<dyn RunStream>,
    pub(super) offer: Offer,
    pub(super) limits: Limits,
    /// What every turn is made of; the limits say how many there are.
    pub(super) request: Resolved,
    pub(super) transcript: Transcript,
    pub(super) deadline: Option<Instant>,
}

/// What the model said in one turn.
struct Turn {
    text: String,
    calls: Vec<ToolCall>,
    stop_reason: StopReason,
    usage: Usage,
    model: Option<String>,
}

impl Turns {
    /// Takes turns until there is an answer, or none to be had.
    pub(super) async fn run(&mut self, feed: &Feed) -> AgentResult {
        self.answer(feed).await.unwrap_or_else(AgentResult::Failure)
    }

    async fn answer(&mut self, feed: &Feed) -> Result<AgentResult, AgentFailure> {
        let max_steps = self.limits.max_steps.max(1);
        let mut usage = Usage::default();
        for step in 1..=max_steps {
            feed.send(AgentEvent::Step { step }).await;
            let mut turn = self.turn(step, feed).await?;
            usage = sum(usage, turn.usage);
            feed.send(AgentEvent::Turned { step, usage: turn.usage }).await;
            if turn.calls.is_empty() {
                self.transcript.push(Role::Assistant, turn.text.as_str().into());
                let Turn { text, stop_reason, model, .. } = turn;
                return Ok(AgentResult::Success { text, steps: step, usage, stop_reason, model });
            }
            if step == max_steps {
                break;
            }
            tell_apart(&mut turn.calls, step);
            let calls = Calls { step, offer: &self.offer, limits: &self.limits, feed };
            let results = calls.run(&turn.calls).await;
            let answered: Vec<String> = turn.calls.iter().map(|call| call.id.clone()).collect();
            self.transcript.push(Role::Assistant, Content::calling(turn.text, turn.calls));
            for (id, body) in answered.into_iter().zip(results) {
                self.transcript
                    .push(Role::Tool, Content { body, tool_call_id: Some(id), ..Content::default() });
            }
        }
        Err(AgentFailure::MaxSteps(max_steps))
    }

    /// One turn of the model, passed on as it comes.
    async fn turn(&self, step: u32, feed: &Feed) -> Result<Turn, AgentFailure> {
        let mut tokens = self.runs.run(self.request(step)).await?;
        let mut text = String::new();
        let mut room = self.limits.turn_bytes_max;
        let mut take = |bytes: usize| {
            room = room.checked_sub(bytes).ok_or(AgentFailure::TurnTooLong(self.limits.turn_bytes_max))?;
            Ok::<(), AgentFailure>(())
        };
        while let Some(event) = tokens.next().await {
            // A stream that never waits must not keep the task from being cancelled.
            consume_budget().await;
            match event {
                TokenEvent::Token(piece) => {
                    take(piece.len())?;
                    text.push_str(&piece);
                    feed.send(AgentEvent::Token(piece)).await;
                }
                TokenEvent::Thinking(piece) => {
                    take(piece.len())?;
                    feed.send(AgentEvent::Thinking(piece)).await;
                }
                TokenEvent::Done { stop_reason, usage, tool_calls: calls, model } => {
                    take(calls.iter().map(bytes).sum())?;
                    return Ok(Turn { text, calls, stop_reason, usage, model });
                }
                TokenEvent::Failed(error) => return Err(error.into()),
            }
        }
        Err(AgentFailure::CutShort)
    }

    fn request(&self, step: u32) -> Resolved {
        let tools = self.offer.tools().to_vec();
        // A choice that forces a call would force one in every turn.
        let tool_choice = self.request.tool_choice.clone().filter(|_| step == 1 && !tools.is_empty());
        Resolved {
            messages: self.transcript.all(),
            tools,
            tool_choice,
            deadline: self.deadline.map(|at| at.saturating_duration_since(Instant::now()).max(LEAST)),
            ..self.request.clone()
        }
    }
}

/// The least that is left of a deadline that has not passed.
const LEAST: Duration = Duration::from_millis(1);

fn sum(one: Usage, other: Usage) -> Usage {
    Usage {
        prompt_tokens: one.prompt_tokens.saturating_add(other.prompt_tokens),
        completion_tokens: one.completion_tokens.saturating_add(other.completion_tokens),
    }
}

/// What a call takes of what a model may say.
fn bytes(call: &ToolCall) -> usize {
    size_of::<ToolCall>() + call.id.len() + call.function.name.len() + call.function.arguments.len()
}

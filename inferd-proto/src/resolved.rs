//! A request that is valid: what admission, routing and engines work with.

use std::sync::Arc;
use std::time::Duration;

use crate::{
    AgentRequest, AgentTurn, Block, Body, Caller, Message, Priority, ProtoError, Request, ResponseFormat,
    Role, Tool, ToolChoice,
};

/// The values that `image_token_budget` may have.
pub const IMAGE_TOKEN_BUDGETS: [u32; 5] = [70, 140, 280, 560, 1120];

/// The most `stop` texts in one request.
pub const STOP_MAX: usize = 16;

/// Tokens one image may cost: one of [`IMAGE_TOKEN_BUDGETS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImageTokenBudget(u32);

impl ImageTokenBudget {
    /// The budget, if `tokens` is one of [`IMAGE_TOKEN_BUDGETS`].
    #[must_use]
    pub fn new(tokens: u32) -> Option<Self> {
        IMAGE_TOKEN_BUDGETS.contains(&tokens).then_some(Self(tokens))
    }

    /// The budget in tokens.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

/// A valid [`Request`]. `None` is the engine's own default: nothing is sent upstream for it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resolved {
    /// Echoed on every frame of the answer.
    pub id: String,
    /// The conversation; never empty. Shared, so that a copy of the request for another attempt is cheap.
    pub messages: Arc<[Message]>,
    /// Within 0 to 2.
    pub temperature: Option<f64>,
    /// Within 0 to 1.
    pub top_p: Option<f64>,
    /// See [`Request::top_k`].
    pub top_k: Option<u32>,
    /// At least 1.
    pub max_tokens: Option<u32>,
    /// Whether tokens are wanted as they come.
    pub stream: bool,
    /// See [`ImageTokenBudget`].
    pub image_token_budget: Option<ImageTokenBudget>,
    /// A GBNF grammar; never empty.
    pub grammar: Option<String>,
    /// The model or alias named.
    pub model: Option<String>,
    /// At most [`STOP_MAX`].
    pub stop: Vec<String>,
    /// See [`Request::seed`].
    pub seed: Option<i64>,
    /// See [`ResponseFormat`].
    pub response_format: Option<ResponseFormat>,
    /// Tools on offer.
    pub tools: Vec<Tool>,
    /// See [`ToolChoice`].
    pub tool_choice: Option<ToolChoice>,
    /// Admission band.
    pub priority: Priority,
    /// Longest time in the queue.
    pub max_wait: Option<Duration>,
    /// Longest time from receipt to the terminal frame.
    pub deadline: Option<Duration>,
    /// Whether `status` frames are wanted.
    pub progress: bool,
    /// Run as an agent turn; then there are no `tools`.
    pub agent: Option<Box<AgentTurn>>,
    /// Whether the request used anything that protocol v1 did not have, so that additive fields may answer it.
    pub additive: bool,
    /// Who asks.
    pub caller: Caller,
}

impl Request {
    /// Checks every rule of the request and names the field that breaks one.
    ///
    /// # Errors
    /// [`ProtoError::InvalidRequest`] naming the field and what was expected.
    pub fn resolve(self) -> Result<Resolved, ProtoError> {
        let additive = self.is_additive();
        within("temperature", self.temperature, 2.0)?;
        within("top_p", self.top_p, 1.0)?;
        if self.max_tokens == Some(0) {
            return invalid("max_tokens: expected at least 1");
        }
        if self.stop.len() > STOP_MAX {
            return invalid(format!("stop: expected at most {STOP_MAX} texts, got {}", self.stop.len()));
        }
        if self.agent.is_some() && !self.tools.is_empty() {
            return invalid("tools: expected none beside `agent`, which brings its own");
        }
        let agent = self.agent.map(AgentRequest::resolve).transpose()?;
        if self.tool_choice.is_some() && self.tools.is_empty() {
            return invalid("tool_choice: expected `tools` beside it");
        }
        let image_token_budget = match self.image_token_budget {
            None => None,
            Some(tokens) => match ImageTokenBudget::new(tokens) {
                Some(budget) => Some(budget),
                None => {
                    return invalid(format!(
                        "image_token_budget: expected one of {IMAGE_TOKEN_BUDGETS:?}, got {tokens}"
                    ));
                }
            },
        };
        if self.messages.is_empty() {
            return invalid("messages: expected at least one message");
        }
        for (index, message) in self.messages.iter().enumerate() {
            check_message(message).or_else(|(field, expected)| {
                invalid(format!("messages[{index}].{field}: expected {expected}"))
            })?;
        }
        Ok(Resolved {
            id: self.id,
            messages: self.messages.into(),
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k,
            max_tokens: self.max_tokens,
            stream: self.stream.unwrap_or(true),
            image_token_budget,
            grammar: Some(self.grammar).filter(|grammar| !grammar.is_empty()),
            model: self.model,
            stop: self.stop,
            seed: self.seed,
            response_format: self.response_format,
            tools: self.tools,
            tool_choice: self.tool_choice,
            priority: self.priority.unwrap_or_default(),
            max_wait: self.max_wait_ms.map(Duration::from_millis),
            deadline: self.deadline_ms.map(Duration::from_millis),
            progress: self.progress.unwrap_or(false),
            agent: agent.map(Box::new),
            additive,
            caller: Caller::default(),
        })
    }

    fn is_additive(&self) -> bool {
        self.model.is_some()
            || !self.stop.is_empty()
            || self.seed.is_some()
            || self.response_format.is_some()
            || !self.tools.is_empty()
            || self.tool_choice.is_some()
            || self.priority.is_some()
            || self.max_wait_ms.is_some()
            || self.deadline_ms.is_some()
            || self.progress.is_some()
            || self.agent.is_some()
            || self.messages.iter().any(|message| {
                message.role == Role::Tool
                    || !message.content.tool_calls.is_empty()
                    || matches!(message.content.body, Body::Blocks(_))
            })
    }
}

/// What is wrong with a message: its field, and what was expected there.
fn check_message(message: &Message) -> Result<(), (&'static str, &'static str)> {
    let content = &message.content;
    if !content.tool_calls.is_empty() && message.role != Role::Assistant {
        return Err(("tool_calls", "them on an assistant message only"));
    }
    match (message.role, &content.tool_call_id) {
        (Role::Tool, None) => return Err(("tool_call_id", "the call that this tool message answers")),
        (Role::Tool, Some(_)) | (_, None) => {}
        (_, Some(_)) => return Err(("tool_call_id", "it on a tool message only")),
    }
    if let Body::Blocks(blocks) = &content.body {
        if blocks.is_empty() && content.tool_calls.is_empty() {
            return Err(("content", "at least one block"));
        }
        for block in blocks {
            if let Block::Image { mime, .. } = block
                && !mime.starts_with("image/")
            {
                return Err(("content", "an image's `mime` to begin with `image/`"));
            }
        }
    }
    Ok(())
}

fn within(field: &str, value: Option<f64>, max: f64) -> Result<(), ProtoError> {
    match value {
        Some(value) if !(0.0..=max).contains(&value) => {
            invalid(format!("{field}: expected a number from 0 to {max}, got {value}"))
        }
        _ => Ok(()),
    }
}

fn invalid<T>(message: impl Into<String>) -> Result<T, ProtoError> {
    Err(ProtoError::InvalidRequest(message.into()))
}

#[cfg(test)]
mod tests;

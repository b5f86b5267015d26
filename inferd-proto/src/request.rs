//! A request as a client sends it: everything optional but the conversation.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{AgentRequest, Message, Tool, ToolChoice};

/// Asks for an answer to a conversation. [`Request::resolve`] says whether it is valid.
///
/// Fields that protocol v1 had stand first; what follows `model` is additive.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Request {
    /// Echoed on every frame of the answer; may be empty while it is the only one open.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The conversation, oldest turn first; not empty.
    pub messages: Vec<Message>,
    /// Sampling temperature, 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling mass, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// How many of the likeliest tokens to sample from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// The most tokens to generate, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Whether tokens are sent as they come (the default) or one `done` holds all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// Tokens an image may cost: one of [`crate::IMAGE_TOKEN_BUDGETS`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_token_budget: Option<u32>,
    /// A GBNF grammar that the answer must match; empty: none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub grammar: String,

    /// A model name or alias that the router knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Texts that end the answer, at most [`crate::STOP_MAX`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Seed of the sampler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// The shape that the answer must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormat>,
    /// Tools the model may call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// How free the model is in calling them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// Admission band.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Longest time in the queue, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_wait_ms: Option<u64>,
    /// Longest time from receipt to the terminal frame, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// Whether `status` frames of this request are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<bool>,
    /// Run the tools that the model calls, turn after turn, until it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentRequest>,
}

/// The band a request waits in; a better band goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Somebody is watching.
    Interactive,
    /// The default.
    #[default]
    Normal,
    /// Nobody is waiting.
    Batch,
}

/// The shape of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseFormat {
    /// Any JSON object.
    JsonObject,
    /// JSON that matches a schema.
    JsonSchema {
        /// The JSON Schema.
        schema: Value,
    },
}

//! The lines that are sent.
//!
//! Invariant: nothing is written for an option the request does not have.

use bytes::Bytes;
use inferd_proto::{
    EmbedRequest, ImageTokenBudget, MAX_FRAME_BYTES, Message, Priority, Resolved, ResponseFormat, Tool,
    ToolChoice,
};
use serde::Serialize;

use super::HELLO;
use super::exchange::Asked;
use crate::GenerateError;
use crate::remote::is_streamed;

/// A `request` line.
#[derive(Serialize)]
struct Ask<'a> {
    id: &'a str,
    messages: &'a [Message],
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_token_budget: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grammar: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<&'a ResponseFormat>,
    #[serde(skip_serializing_if = "<[Tool]>::is_empty")]
    tools: &'a [Tool],
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<&'a ToolChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<Priority>,
    /// Says that the other daemon is there, and that it took the request.
    progress: bool,
}

/// Asks for an answer to `request`.
pub(super) fn generate(request: &Resolved, id: String) -> Result<Asked, GenerateError> {
    // Time in the queue and the deadline are kept on this side, where they began to count.
    let ask = Ask {
        id: &id,
        messages: &request.messages,
        temperature: request.temperature,
        top_p: request.top_p,
        top_k: request.top_k,
        max_tokens: request.max_tokens,
        stream: (!is_streamed(request)).then_some(false),
        image_token_budget: request.image_token_budget.map(ImageTokenBudget::get),
        grammar: request.grammar.as_deref(),
        model: request.model.as_deref(),
        stop: &request.stop,
        seed: request.seed,
        response_format: request.response_format.as_ref(),
        tools: &request.tools,
        tool_choice: request.tool_choice.as_ref(),
        priority: (request.priority != Priority::Normal).then_some(request.priority),
        progress: true,
    };
    Ok(Asked { line: line(&ask)?, id, model: request.model.clone(), is_hello: false })
}

/// Asks for the vectors of `request`.
pub(super) fn embed(request: EmbedRequest, id: String) -> Result<Asked, GenerateError> {
    #[derive(Serialize)]
    struct Embed {
        r#type: &'static str,
        #[serde(flatten)]
        request: EmbedRequest,
    }
    let embed = Embed { r#type: "embed", request: EmbedRequest { id, ..request } };
    let line = line(&embed)?;
    let EmbedRequest { id, model, .. } = embed.request;
    Ok(Asked { line, id, model, is_hello: false })
}

/// Asks what the other daemon can do.
pub(super) fn hello() -> Asked {
    Asked { id: String::new(), line: Bytes::from_static(HELLO), model: None, is_hello: true }
}

fn line(request: &impl Serialize) -> Result<Bytes, GenerateError> {
    let mut line = serde_json::to_vec(request).map_err(|error| GenerateError::Internal(error.to_string()))?;
    if line.len() > MAX_FRAME_BYTES {
        return Err(GenerateError::InvalidRequest(format!("the request exceeds {MAX_FRAME_BYTES} bytes")));
    }
    line.push(b'\n');
    Ok(line.into())
}

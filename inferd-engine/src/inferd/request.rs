//! The lines that are sent.
//!
//! Invariant: nothing is written for an option the request does not have.

use bytes::Bytes;
use inferd_proto::{EmbedRequest, ImageTokenBudget, MAX_FRAME_BYTES, Priority, Request, Resolved};
use serde::Serialize;

use super::HELLO;
use super::exchange::Asked;
use crate::GenerateError;

/// The longest answer that is asked for in one piece. A longer one comes as a stream, whether or not the caller wants
/// one: only a stream tells a server that is busy from one that hangs (`docs/adr/0005-streams-upstream.md`).
const WHOLE_TOKENS_MAX: u32 = 256;

/// Asks for an answer to `request`.
pub(super) fn generate(request: Resolved, id: String) -> Result<Asked, GenerateError> {
    let Resolved {
        id: _,
        messages,
        temperature,
        top_p,
        top_k,
        max_tokens,
        stream,
        image_token_budget,
        grammar,
        model,
        stop,
        seed,
        response_format,
        tools,
        tool_choice,
        priority,
        // Kept on this side, where they began to count.
        max_wait: _,
        deadline: _,
        // Asked for in any case: it says that the other daemon is there.
        progress: _,
        additive: _,
    } = request;
    let streamed = stream || max_tokens.is_none_or(|max| max > WHOLE_TOKENS_MAX);
    let request = Request {
        id,
        messages,
        temperature,
        top_p,
        top_k,
        max_tokens,
        stream: (!streamed).then_some(false),
        image_token_budget: image_token_budget.map(ImageTokenBudget::get),
        grammar: grammar.unwrap_or_default(),
        model,
        stop,
        seed,
        response_format,
        tools,
        tool_choice,
        priority: (priority != Priority::Normal).then_some(priority),
        max_wait_ms: None,
        deadline_ms: None,
        progress: Some(true),
        agent: None,
    };
    Ok(Asked { line: line(&request)?, id: request.id, model: request.model, is_hello: false })
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

//! An answer as events.

use inferd_proto::{FunctionCall, FunctionTag, ResponseFormat, StopReason, ToolCall, Usage};
use rmcp::model::{CreateMessageRequestParams, CreateMessageResult, Role, ToolUseContent};
use serde_json::Value;

use super::shape;
use crate::TokenEvent;
use crate::sampling::error::SamplingError;
use crate::sampling::text::text;

/// Bytes of text a token: near enough where nobody counts.
const TOKEN_BYTES: usize = 4;

/// The events of `result`: its text, if it has any, and its end. MCP counts no tokens, so those read are `read`, and
/// those written are estimated.
pub(super) fn of(
    result: &CreateMessageResult,
    read: u32,
    format: Option<&ResponseFormat>,
) -> Result<Vec<TokenEvent>, SamplingError> {
    if result.message.role != Role::Assistant {
        return Err(SamplingError::Malformed("it is not the assistant's".to_owned()));
    }
    let tool_calls: Vec<ToolCall> =
        result.message.content.iter().filter_map(|block| block.as_tool_use()).map(tool_call).collect();
    let said = match (text(&result.message), format) {
        (Some(text), Some(format)) if tool_calls.is_empty() => shape::checked(&text, format)?,
        (Some(text), _) => text,
        (None, _) if tool_calls.is_empty() => {
            return Err(SamplingError::Malformed("it holds no text".to_owned()));
        }
        (None, _) => String::new(),
    };
    let done = TokenEvent::Done {
        stop_reason: stop_reason(result.stop_reason.as_deref(), !tool_calls.is_empty()),
        usage: Usage { prompt_tokens: read, completion_tokens: tokens(said.len()) },
        tool_calls,
        model: Some(result.model.clone()).filter(|model| !model.is_empty()),
    };
    let token = (!said.is_empty()).then_some(TokenEvent::Token(said));
    Ok(token.into_iter().chain([done]).collect())
}

/// About how many tokens of text `params` holds.
pub(super) fn estimate(params: &CreateMessageRequestParams) -> u32 {
    let system = params.system_prompt.as_deref().map_or(0, str::len);
    let blocks = params.messages.iter().flat_map(|message| message.content.iter());
    tokens(system + blocks.filter_map(|block| block.as_text()).map(|block| block.text.len()).sum::<usize>())
}

fn tokens(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(TOKEN_BYTES)).unwrap_or(u32::MAX)
}

fn stop_reason(reason: Option<&str>, calls_tools: bool) -> StopReason {
    match reason {
        _ if calls_tools => StopReason::ToolCalls,
        Some(CreateMessageResult::STOP_REASON_END_MAX_TOKEN) => StopReason::Length,
        _ => StopReason::End,
    }
}

fn tool_call(call: &ToolUseContent) -> ToolCall {
    let arguments = Value::Object(call.input.clone()).to_string();
    let function = FunctionCall { name: call.name.clone(), arguments };
    ToolCall { id: call.id.clone(), r#type: FunctionTag::Function, function }
}

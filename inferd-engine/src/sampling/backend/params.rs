//! A request as MCP has it.
//!
//! Invariants:
//! - System messages stand first, as the one system prompt, in their order.
//! - What MCP has no place for is refused where it binds the answer, and passed on as metadata where it steers the model.

use std::sync::Arc;

use inferd_proto::{
    Block, Body, Content, Message, Resolved, Role, Tool as OurTool, ToolCall, ToolChoice as OurChoice,
    ToolMode,
};
use rmcp::model::{
    ContentBlock, CreateMessageRequestParams, ImageContent, JsonObject, ModelHint, ModelPreferences,
    Role as McpRole, SamplingContent, SamplingMessage, SamplingMessageContentBlock as McpBlock, Tool,
    ToolChoice,
};
use serde_json::{Map, Value, json};

use super::shape;
use crate::sampling::client::Offer;
use crate::sampling::config::SamplingConfig;
use crate::sampling::error::SamplingError;

/// What to ask of a peer that offers `offer`.
pub(super) fn of(
    request: Resolved,
    config: &SamplingConfig,
    offer: Offer,
) -> Result<CreateMessageRequestParams, SamplingError> {
    refuse_what_binds(&request, offer)?;
    let mut system = Vec::new();
    let mut messages: Vec<SamplingMessage> = Vec::new();
    for message in &*request.messages {
        match message.role {
            Role::System => system.push(message.content.text().into_owned()),
            Role::Tool => push_tool_result(&mut messages, message),
            Role::User => messages.push(spoken(McpRole::User, &message.content)?),
            Role::Assistant => messages.push(spoken(McpRole::Assistant, &message.content)?),
        }
    }
    if messages.is_empty() {
        return Err(invalid("messages: expected one beside the system's"));
    }
    system.extend(request.response_format.as_ref().map(shape::instructions));
    let mut params =
        CreateMessageRequestParams::new(messages, request.max_tokens.unwrap_or(config.max_tokens))
            .with_model_preferences(preferences(request.model.as_deref(), config));
    params.system_prompt = (!system.is_empty()).then(|| system.join("\n\n"));
    #[expect(clippy::cast_possible_truncation, reason = "a temperature from 0 to 2 needs no more digits")]
    let temperature = request.temperature.map(|temperature| temperature as f32);
    params.temperature = temperature;
    params.metadata = metadata(&request);
    if !request.tools.is_empty() {
        let (tools, choice) = tools(&request.tools, request.tool_choice.as_ref())?;
        params.tools = Some(tools);
        params.tool_choice = choice;
    }
    params.stop_sequences = (!request.stop.is_empty()).then_some(request.stop);
    params.validate().map_err(|why| invalid(format!("messages: {why}")))?;
    Ok(params)
}

fn refuse_what_binds(request: &Resolved, offer: Offer) -> Result<(), SamplingError> {
    if request.grammar.is_some() {
        return Err(invalid("grammar: a sampling peer takes none"));
    }
    if request.image_token_budget.is_some() {
        return Err(invalid("image_token_budget: a sampling peer takes none"));
    }
    if !request.tools.is_empty() && !offer.tools {
        return Err(SamplingError::Unsuited("tools: the sampling peer takes none".to_owned()));
    }
    Ok(())
}

/// The named model is a hint: the peer's user decides.
fn preferences(model: Option<&str>, config: &SamplingConfig) -> ModelPreferences {
    let preferences = ModelPreferences::new()
        .with_intelligence_priority(config.intelligence_priority)
        .with_speed_priority(config.speed_priority)
        .with_cost_priority(config.cost_priority);
    match model {
        Some(model) => preferences.with_hints(vec![ModelHint::new(model)]),
        None => preferences,
    }
}

/// What the model's provider may understand, under the names that most give it.
fn metadata(request: &Resolved) -> Option<Value> {
    let mut metadata = Map::new();
    let steering = [
        ("top_p", request.top_p.map(Value::from)),
        ("top_k", request.top_k.map(Value::from)),
        ("seed", request.seed.map(Value::from)),
    ];
    metadata.extend(steering.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    (!metadata.is_empty()).then_some(Value::Object(metadata))
}

/// A message of text, images and, the assistant's, tool calls.
fn spoken(role: McpRole, content: &Content) -> Result<SamplingMessage, SamplingError> {
    let mut blocks: Vec<McpBlock> = match &content.body {
        Body::Text(text) if text.is_empty() && !content.tool_calls.is_empty() => Vec::new(),
        Body::Text(text) => vec![McpBlock::text(text)],
        Body::Blocks(blocks) => blocks.iter().map(block).collect(),
    };
    for call in &content.tool_calls {
        blocks.push(McpBlock::tool_use(&call.id, &call.function.name, arguments(call)?));
    }
    Ok(match <[McpBlock; 1]>::try_from(blocks) {
        Ok([only]) => SamplingMessage::new(role, only),
        Err(blocks) => SamplingMessage::new_multiple(role, blocks),
    })
}

fn block(block: &Block) -> McpBlock {
    match block {
        Block::Text { text } => McpBlock::text(text),
        Block::Image { mime, data } => McpBlock::Image(ImageContent::new(data, mime)),
    }
}

fn arguments(call: &ToolCall) -> Result<JsonObject, SamplingError> {
    let arguments = call.function.arguments.trim();
    if arguments.is_empty() {
        return Ok(JsonObject::new());
    }
    serde_json::from_str(arguments)
        .map_err(|_| invalid(format!("tool_calls: the arguments of {} are no JSON object", call.id)))
}

/// The results of one turn's calls are one message.
fn push_tool_result(messages: &mut Vec<SamplingMessage>, message: &Message) {
    let id = message.content.tool_call_id.as_deref().unwrap_or_default();
    let result = McpBlock::tool_result(id, vec![ContentBlock::text(message.content.text())]);
    let is_result = |block: &McpBlock| matches!(block, McpBlock::ToolResult(_));
    match messages.last_mut() {
        Some(last) if !last.content.is_empty() && last.content.iter().all(is_result) => {
            let mut blocks = std::mem::take(&mut last.content).into_vec();
            blocks.push(result);
            last.content = SamplingContent::Multiple(blocks);
        }
        _ => messages.push(SamplingMessage::new(McpRole::User, result)),
    }
}

/// A named function is asked for by offering no other.
fn tools(
    tools: &[OurTool],
    choice: Option<&OurChoice>,
) -> Result<(Vec<Tool>, Option<ToolChoice>), SamplingError> {
    let (only, choice) = match choice {
        None => (None, None),
        Some(OurChoice::Mode(ToolMode::Auto)) => (None, Some(ToolChoice::auto())),
        Some(OurChoice::Mode(ToolMode::None)) => (None, Some(ToolChoice::none())),
        Some(OurChoice::Mode(ToolMode::Required)) => (None, Some(ToolChoice::required())),
        Some(OurChoice::Named { function, .. }) => (Some(&*function.name), Some(ToolChoice::required())),
    };
    let mut offered = Vec::with_capacity(tools.len());
    for OurTool::Function { function } in tools {
        if only.is_some_and(|only| only != function.name) {
            continue;
        }
        let schema = match function.parameters.clone().unwrap_or_else(|| json!({"type": "object"})) {
            Value::Object(schema) => Arc::new(schema),
            _ => return Err(invalid(format!("tools: the parameters of {} are no object", function.name))),
        };
        let mut tool = Tool::new_with_raw(function.name.clone(), None, schema);
        tool.description = function.description.clone().map(Into::into);
        offered.push(tool);
    }
    if offered.is_empty() {
        return Err(invalid("tool_choice: expected the name of a tool on offer"));
    }
    Ok((offered, choice))
}

fn invalid(why: impl Into<String>) -> SamplingError {
    SamplingError::Invalid(why.into())
}

#[cfg(test)]
mod tests;

//! The conversation: text apart from images, arguments as objects, and tools' answers under the tools' names.

use std::borrow::Cow;

use inferd_proto::{Block, Body, Content, Message, Role, ToolCall};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::GenerateError;
use crate::remote::arguments;

#[derive(Serialize)]
pub(super) struct Turn<'a> {
    role: Role,
    content: Cow<'a, str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Call<'a> {
    id: &'a str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a RawValue,
}

/// The turns of `messages`.
pub(super) fn turns(messages: &[Message]) -> Result<Vec<Turn<'_>>, GenerateError> {
    let turn = |(at, message): (usize, _)| turn(&messages[..at], at, message);
    messages.iter().enumerate().map(turn).collect()
}

fn turn<'a>(before: &'a [Message], at: usize, message: &'a Message) -> Result<Turn<'a>, GenerateError> {
    let content = &message.content;
    let call = |(number, ToolCall { id, function, .. }): (usize, &'a ToolCall)| {
        let called =
            arguments(&function.arguments).map(|arguments| Function { name: &function.name, arguments });
        called.map(|function| Call { id, function }).ok_or_else(|| {
            let field = format!("messages[{at}].tool_calls[{number}].function.arguments");
            GenerateError::InvalidRequest(format!("{field}: expected a JSON object"))
        })
    };
    Ok(Turn {
        role: message.role,
        content: content.text(),
        images: images(content),
        tool_calls: content.tool_calls.iter().enumerate().map(call).collect::<Result<_, _>>()?,
        tool_name: content.tool_call_id.as_deref().and_then(|id| tool_of(before, id)),
        tool_call_id: content.tool_call_id.as_deref(),
    })
}

fn images(content: &Content) -> Vec<&str> {
    let Body::Blocks(blocks) = &content.body else { return Vec::new() };
    blocks
        .iter()
        .filter_map(|block| match block {
            Block::Image { data, .. } => Some(data.as_str()),
            Block::Text { .. } => None,
        })
        .collect()
}

/// The tool that the last call with this id calls: ids need be unique within a turn only.
fn tool_of<'a>(before: &'a [Message], id: &str) -> Option<&'a str> {
    let mut calls = before.iter().rev().flat_map(|message| &message.content.tool_calls);
    calls.find(|call| call.id == id).map(|call| &*call.function.name)
}

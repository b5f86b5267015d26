//! The tool `generate`: a prompt or a conversation enters, its answer leaves, and on the way there what a client that
//! gave a progress token is shown.

use inferd_proto::{
    ClientFrame, IMAGE_TOKEN_BUDGETS, Message, Request, Resolved, Role, STOP_MAX, StopReason, Timings,
    ToolCall, Usage,
};
use rmcp::model::{CallToolResult, JsonObject};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::courier::Courier;
use super::racing::{enter, race};
use super::telling::{Board, Finished, Telling};
use super::{Call, Failure, Offered, answered, described, fields};
use crate::answer::{AnswerError, answer};
use crate::audit::{Asked, Entry, Witness};

pub(super) fn tool() -> Offered {
    let tool = described(
        "generate",
        "Generate an answer",
        "Answers a prompt or a conversation with a model that this daemon serves. Give a progress token to be shown \
         the text as it grows; cancel the call to stop the generation.",
        (input(), output()),
        true,
    );
    let schema = tool.input_schema.clone();
    Offered::own(tool, move |call| {
        let schema = schema.clone();
        async move { run(call, &schema).await }
    })
}

async fn run(mut call: Call, schema: &JsonObject) -> Result<CallToolResult, Failure> {
    let received = Instant::now();
    let mut request = request(std::mem::take(&mut call.arguments), schema)?;
    request.caller = call.caller.asker.clone();
    let named_model = request.model.is_some();
    let mut entry = enter(&call, received, || Asked::from(&request))?;
    let board = Board::default();
    let finished = race(&call, generate(&call, request, received, &board, &mut entry)).await;
    finished.map(result).map_err(|ended| ended.told(&mut entry, |error| Failure::of(error, named_model)))
}

/// Generates the answer, shown as it grows.
async fn generate(
    call: &Call,
    request: Resolved,
    received: Instant,
    board: &Board,
    entry: &mut Entry,
) -> Result<Finished, AnswerError> {
    let (service, client) = (&call.caller.service, &call.caller.client);
    let courier = Courier::new(&call.caller, board, "generate");
    let mut telling = Telling { board, received };
    let mut witness = Witness { entry: &mut *entry, replies: &mut telling };
    let request = Box::new(request);
    let is_whole = tokio::select! {
        biased;
        outcome = answer(&service.gate, &service.router, client, request, received, &mut witness) => {
            outcome.map(|()| true)
        }
        () = board.full() => Ok(false),
        never = courier.run() => match never {},
    };
    // What is shown on the way is shown before the end, or not at all.
    courier.deliver().await;
    let is_whole = is_whole?;
    let finished = board.take();
    if !is_whole {
        entry.served(finished.usage, None, None);
    }
    Ok(finished)
}

/// The request that the arguments stand for.
fn request(mut arguments: JsonObject, schema: &JsonObject) -> Result<Resolved, Failure> {
    fields::refuse_unknown(&arguments, schema)?;
    let system = fields::take_text(&mut arguments, "system")?;
    let mut request = spoken(arguments)?;
    if let Some(system) = system {
        request.messages.insert(0, said_by(Role::System, system));
    }
    Ok(Request { stream: Some(true), ..request }.resolve()?)
}

/// The request that the arguments are, where a `prompt` may stand for the messages.
pub(super) fn spoken(mut arguments: JsonObject) -> Result<Request, Failure> {
    let prompt = fields::take_text(&mut arguments, "prompt")?;
    let mut request = match fields::as_on_the_wire(&arguments)? {
        ClientFrame::Request(request) => *request,
        _ => unreachable!("it has no `type`"),
    };
    match (prompt, request.messages.is_empty()) {
        (Some(prompt), true) => request.messages.push(said_by(Role::User, prompt)),
        (Some(_), false) => return Err(Failure::invalid("prompt: expected it or `messages`, not both")),
        (None, true) => return Err(Failure::invalid("prompt: expected it or `messages`")),
        (None, false) => {}
    }
    // Where it waits is told to whoever asked for such news; nothing else depends on it.
    request.progress = Some(true);
    Ok(request)
}

fn said_by(role: Role, text: String) -> Message {
    Message { role, content: text.into() }
}

/// What a call leads to.
#[derive(Serialize)]
struct Answered {
    text: String,
    stop_reason: StopReason,
    usage: Usage,
    backend: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall>,
    timings: Timings,
}

fn result(finished: Finished) -> CallToolResult {
    let Finished { text, stop_reason, usage, backend, model, tool_calls, timings, turn: _ } = finished;
    let shown = if text.is_empty() && !tool_calls.is_empty() {
        serde_json::to_string(&tool_calls).expect("plain data is JSON")
    } else {
        text.clone()
    };
    answered(&Answered { text, stop_reason, usage, backend, model, tool_calls, timings }, shown)
}

fn input() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let whole = |least: u64, description: &str| json!({ "type": "integer", "minimum": least, "description": description });
    let properties = json!({
        "prompt": text("What the user says; instead of `messages`"),
        "messages": {
            "type": "array",
            "minItems": 1,
            "items": message(),
            "description": "The conversation, oldest turn first; instead of `prompt`",
        },
        "system": text("Instructions to the model, before everything else"),
        "model": text("A model or alias from list_models; default: the daemon's choice"),
        "max_tokens": whole(1, "The longest answer, in tokens"),
        "temperature": { "type": "number", "minimum": 0, "maximum": 2, "description": "How freely words are chosen" },
        "top_p": { "type": "number", "minimum": 0, "maximum": 1, "description": "Nucleus sampling mass" },
        "top_k": whole(0, "How many of the likeliest tokens to sample from"),
        "stop": {
            "type": "array",
            "maxItems": STOP_MAX,
            "items": { "type": "string" },
            "description": "Texts that end the answer",
        },
        "seed": { "type": "integer", "description": "Seed of the sampler" },
        "grammar": text("A GBNF grammar that the answer must match"),
        "response_format": {
            "type": "object",
            "properties": { "type": { "enum": ["json_object", "json_schema"] }, "schema": { "type": "object" } },
            "required": ["type"],
            "description": "The shape that the answer must have",
        },
        "tools": {
            "type": "array",
            "items": { "type": "object" },
            "description": "Tools the model may call, in the OpenAI function shape; its calls are in the result",
        },
        "tool_choice": { "type": ["string", "object"], "description": "How free the model is in calling them" },
        "image_token_budget": { "enum": IMAGE_TOKEN_BUDGETS, "description": "Tokens an image may cost" },
        "priority": { "enum": ["interactive", "normal", "batch"], "description": "Who goes first when it is busy" },
        "max_wait_ms": whole(0, "Longest time in the queue, in milliseconds"),
        "deadline_ms": whole(0, "Longest time to the end of the answer, in milliseconds"),
    });
    fields::object(&properties, &[])
}

pub(super) fn message() -> Value {
    json!({
        "type": "object",
        "properties": {
            "role": { "enum": ["system", "user", "assistant", "tool"] },
            "content": {
                "type": ["string", "array", "null"],
                "description": "Text, or blocks: {type: text, text} and {type: image, mime, data}",
            },
            "tool_calls": { "type": "array", "items": { "type": "object" } },
            "tool_call_id": { "type": "string" },
        },
        "required": ["role"],
    })
}

fn output() -> Value {
    let count = || json!({ "type": "integer" });
    let properties = json!({
        "text": { "type": "string" },
        "stop_reason": { "enum": ["end", "length", "tool_calls", "cancelled", "error"] },
        "usage": {
            "type": "object",
            "properties": { "prompt_tokens": count(), "completion_tokens": count() },
            "required": ["prompt_tokens", "completion_tokens"],
        },
        "backend": { "type": "string", "description": "The lane that answered" },
        "model": { "type": "string", "description": "The model that answered, where the engine says so" },
        "tool_calls": { "type": "array", "items": { "type": "object" } },
        "timings": {
            "type": "object",
            "properties": { "queue_ms": count(), "first_token_ms": count(), "total_ms": count() },
            "required": ["queue_ms", "total_ms"],
        },
    });
    fields::object(&properties, &["text", "stop_reason", "usage", "backend", "timings"])
}

#[cfg(test)]
mod tests;

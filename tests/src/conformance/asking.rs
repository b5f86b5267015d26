//! Tools that ask the client while their call is open, as revisions before 2026-07-28 do.

use std::time::Duration;

use inferd_daemon::mcp::Hangup;
use rmcp::ErrorData;
use serde_json::{Value, json};

use super::calling::{gone, text};
use super::{Context, of};

/// How long the client may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends a request of the server's and waits for the client's result.
async fn ask(context: &Context, method: &str, params: Value) -> Result<Value, ErrorData> {
    let request = of(json!({ "method": method, "params": params }))?;
    let answer = tokio::time::timeout(PATIENCE, context.peer.send_request(request)).await.map_err(gone)?;
    serde_json::to_value(answer.map_err(gone)?).map_err(gone)
}

pub(super) async fn sampling(context: &Context, prompt: &str) -> Result<Value, ErrorData> {
    let messages = json!([{ "role": "user", "content": { "type": "text", "text": prompt } }]);
    let answer =
        ask(context, "sampling/createMessage", json!({ "messages": messages, "maxTokens": 100 })).await?;
    let said = answer["content"]["text"].as_str().unwrap_or("no text");
    Ok(text(&format!("LLM response: {said}")))
}

async fn elicit(context: &Context, message: &str, schema: Value) -> Result<String, ErrorData> {
    let params = json!({ "message": message, "requestedSchema": schema });
    let answer = ask(context, "elicitation/create", params).await?;
    let action = answer["action"].as_str().unwrap_or("none");
    Ok(format!("action={action}, content={}", answer["content"]))
}

pub(super) async fn elicitation(context: &Context, message: &str) -> Result<Value, ErrorData> {
    let schema = json!({
        "type": "object",
        "properties": {
            "username": { "type": "string", "description": "User's response" },
            "email": { "type": "string", "description": "User's email address" },
        },
        "required": ["username", "email"],
    });
    let answer = elicit(context, message, schema).await?;
    Ok(text(&format!("User response: {answer}")))
}

pub(super) async fn defaults(context: &Context) -> Result<Value, ErrorData> {
    let schema = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "default": "John Doe" },
            "age": { "type": "integer", "default": 30 },
            "score": { "type": "number", "default": 95.5 },
            "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
            "verified": { "type": "boolean", "default": true },
        },
        "required": [],
    });
    let answer = elicit(context, "Please review what is filled in", schema).await?;
    Ok(text(&format!("Elicitation completed: {answer}")))
}

pub(super) async fn choices(context: &Context) -> Result<Value, ErrorData> {
    let titled = |names: [&str; 3]| -> Vec<Value> {
        (1..).zip(names).map(|(n, title)| json!({ "const": format!("value{n}"), "title": title })).collect()
    };
    let schema = json!({
        "type": "object",
        "properties": {
            "untitledSingle": { "type": "string", "enum": ["option1", "option2", "option3"] },
            "titledSingle": {
                "type": "string", "oneOf": titled(["First Option", "Second Option", "Third Option"]),
            },
            "legacyEnum": {
                "type": "string", "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": {
                "type": "array", "items": { "type": "string", "enum": ["option1", "option2", "option3"] },
            },
            "titledMulti": {
                "type": "array",
                "items": { "anyOf": titled(["First Choice", "Second Choice", "Third Choice"]) },
            },
        },
        "required": [],
    });
    let answer = elicit(context, "Please choose", schema).await?;
    Ok(text(&format!("Elicitation completed: {answer}")))
}

/// How long the client has to notice that its stream ended, before the answer is there.
const AWAY: Duration = Duration::from_millis(100);

/// Ends the stream of the call, and answers into what the client may come back to.
pub(super) async fn reconnection(context: &Context) -> Value {
    if let Some(connection) = context.extensions.get::<Hangup>() {
        connection.hang_up();
        tokio::time::sleep(AWAY).await;
    }
    text("Reconnection test completed successfully")
}

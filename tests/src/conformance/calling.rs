//! The tools: a call enters, what the suite expects of it leaves.
#![expect(deprecated, reason = "the revisions before 2026-07-28 have log lines")]

use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ClientCapabilities, LoggingLevel,
    LoggingMessageNotificationParam, ProgressNotificationParam,
};
use serde_json::{Value, json};

use super::catalogue::{PNG, WAV};
use super::changes::Change;
use super::{Context, Fixtures, asking, of, result, rounds};

/// Between two notifications of a tool, as the suite wants it.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn call(
    fixtures: &Fixtures,
    call: CallToolRequestParams,
    context: Context,
) -> Result<CallToolResponse, ErrorData> {
    let arguments = call.arguments.clone().unwrap_or_default();
    let argument = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    let content = match call.name.as_ref() {
        "test_simple_text" => text("This is a simple text response for testing."),
        "test_image_content" => json!([{ "type": "image", "data": PNG, "mimeType": "image/png" }]),
        "test_audio_content" => json!([{ "type": "audio", "data": WAV, "mimeType": "audio/wav" }]),
        "test_embedded_resource" => json!([{ "type": "resource", "resource": {
            "uri": "test://embedded-resource", "mimeType": "text/plain",
            "text": "This is an embedded resource content.",
        }}]),
        "test_multiple_content_types" => json!([
            { "type": "text", "text": "Multiple content types test:" },
            { "type": "image", "data": PNG, "mimeType": "image/png" },
            { "type": "resource", "resource": {
                "uri": "test://mixed-content-resource", "mimeType": "application/json",
                "text": json!({ "test": "data", "value": 123 }).to_string(),
            }},
        ]),
        "test_error_handling" => {
            let content = text("This tool intentionally returns an error for testing");
            return Ok(CallToolResponse::Complete(result(json!({ "content": content, "isError": true }))?));
        }
        "test_header_parameter" => text(argument("region")),
        "json_schema_2020_12_tool" => text(&json!(arguments).to_string()),
        "test_tool_with_logging" => logging(&context).await?,
        "test_logging_tool" => logging_if_asked(&context).await?,
        "test_tool_with_progress" => progress(&context, true).await?,
        "test_sampling" => asking::sampling(&context, argument("prompt")).await?,
        "test_elicitation" => asking::elicitation(&context, argument("message")).await?,
        "test_elicitation_sep1034_defaults" => asking::defaults(&context).await?,
        "test_elicitation_sep1330_enums" => asking::choices(&context).await?,
        "test_reconnection" => asking::reconnection(&context).await,
        "test_missing_capability" => needs_sampling(&context)?,
        "test_streaming_elicitation" => {
            progress(&context, false).await?;
            return rounds::call(&fixtures.states, &call, &context);
        }
        "test_trigger_tool_change" => {
            fixtures.changes.publish(Change::Tools);
            text("The tools changed.")
        }
        "test_trigger_prompt_change" => {
            fixtures.changes.publish(Change::Prompts);
            text("The prompts changed.")
        }
        _ => return rounds::call(&fixtures.states, &call, &context),
    };
    Ok(CallToolResponse::Complete(result(json!({ "content": content }))?))
}

/// Content of one text.
pub(super) fn text(text: &str) -> Value {
    json!([{ "type": "text", "text": text }])
}

/// What becomes of a call whose client cannot be told something.
pub(super) fn gone(error: impl std::fmt::Display) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

async fn logging(context: &Context) -> Result<Value, ErrorData> {
    for line in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
        log(context, line).await?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(text("Tool with logging executed successfully"))
}

async fn log(context: &Context, line: &str) -> Result<(), ErrorData> {
    let message = LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(line));
    context.peer.notify_logging_message(message).await.map_err(gone)
}

async fn logging_if_asked(context: &Context) -> Result<Value, ErrorData> {
    if context.meta.contains_key("io.modelcontextprotocol/logLevel") {
        log(context, "Logged as asked").await?;
    }
    Ok(text("Done"))
}

/// Three notifications, under the caller's token if it gave one.
async fn progress(context: &Context, pausing: bool) -> Result<Value, ErrorData> {
    let token = context.meta.get_progress_token();
    for done in [0.0, 50.0, 100.0] {
        if let Some(token) = token.clone() {
            let told = ProgressNotificationParam::new(token, done).with_total(100.0);
            context.peer.notify_progress(told).await.map_err(gone)?;
        }
        if pausing {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(text("Tool with progress executed successfully"))
}

fn needs_sampling(context: &Context) -> Result<Value, ErrorData> {
    if context.client_capabilities().is_some_and(|can| can.sampling.is_some()) {
        return Ok(text("The client can sample"));
    }
    let needed: ClientCapabilities = of(json!({ "sampling": {} }))?;
    Err(ErrorData::missing_required_client_capability(needed))
}

//! What the suite expects to find listed, and what of it never changes.

use serde_json::{Map, Value, json};

/// A picture of one red pixel.
pub(super) const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/// A recording of nothing.
pub(super) const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

/// Tools that take nothing.
const PLAIN_TOOLS: &[(&str, &str)] = &[
    ("test_simple_text", "Returns a text."),
    ("test_image_content", "Returns a picture."),
    ("test_audio_content", "Returns a recording."),
    ("test_embedded_resource", "Returns a resource with its contents."),
    ("test_multiple_content_types", "Returns a text, a picture and a resource."),
    ("test_tool_with_logging", "Logs three times while it runs."),
    ("test_error_handling", "Always fails."),
    ("test_tool_with_progress", "Tells its progress three times while it runs."),
    ("test_elicitation_sep1034_defaults", "Asks the user, with a default for each kind of answer."),
    ("test_elicitation_sep1330_enums", "Asks the user to choose, in each way there is."),
    ("test_reconnection", "Ends its stream before it answers, so that the client has to come back."),
    ("test_missing_capability", "Cannot do without sampling."),
    ("test_logging_tool", "Logs if the request asks for it."),
    ("test_streaming_elicitation", "Tells its progress, then needs the user."),
    ("test_trigger_tool_change", "Tells those who listen that the tools changed."),
    ("test_trigger_prompt_change", "Tells those who listen that the prompts changed."),
    ("test_input_required_result_elicitation", "Needs the user's name."),
    ("test_input_required_result_sampling", "Needs a model's answer."),
    ("test_input_required_result_list_roots", "Needs the client's roots."),
    ("test_input_required_result_request_state", "Needs a yes, and its own state back."),
    ("test_input_required_result_multiple_inputs", "Needs three answers at once."),
    ("test_input_required_result_multi_round", "Needs two answers, one after the other."),
    ("test_input_required_result_tampered_state", "Refuses a state that it did not give."),
    ("test_input_required_result_capabilities", "Needs only what the client can do."),
];

pub(super) fn tools() -> Vec<Value> {
    let plain = PLAIN_TOOLS.iter().map(|(name, description)| {
        json!({ "name": name, "description": description, "inputSchema": { "type": "object", "properties": {} } })
    });
    plain
        .chain([asks("test_sampling", "prompt"), asks("test_elicitation", "message"), headed(), schema()])
        .collect()
}

/// A tool whose one argument says what to ask.
fn asks(name: &str, argument: &str) -> Value {
    json!({
        "name": name,
        "description": format!("Asks the client what its `{argument}` says."),
        "inputSchema": {
            "type": "object",
            "properties": { argument: { "type": "string", "description": "What is asked." } },
            "required": [argument],
        },
    })
}

/// A tool one of whose arguments is repeated in a header.
fn headed() -> Value {
    json!({
        "name": "test_header_parameter",
        "description": "Returns its `region`, which the request's head repeats.",
        "inputSchema": {
            "type": "object",
            "properties": { "region": { "type": "string", "x-mcp-header": "Region" } },
            "required": ["region"],
        },
    })
}

fn schema() -> Value {
    json!({
        "name": "json_schema_2020_12_tool",
        "description": "Tool with JSON Schema 2020-12 features",
        "inputSchema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": {
                "address": {
                    "$anchor": "addressDef",
                    "type": "object",
                    "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
                },
            },
            "properties": {
                "name": { "type": "string" },
                "address": { "$ref": "#/$defs/address" },
                "contactMethod": { "type": "string", "enum": ["phone", "email"] },
                "phone": { "type": "string" },
                "email": { "type": "string" },
            },
            "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
            "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
            "then": { "required": ["phone"] },
            "else": { "required": ["email"] },
            "additionalProperties": false,
        },
    })
}

pub(super) fn resources() -> Value {
    json!([
        { "uri": "test://static-text", "name": "static-text", "description": "A text.", "mimeType": "text/plain" },
        { "uri": "test://static-binary", "name": "static-binary", "description": "A picture.", "mimeType": "image/png" },
        { "uri": "test://watched-resource", "name": "watched-resource", "description": "A text to subscribe to.",
          "mimeType": "text/plain" },
    ])
}

pub(super) fn templates() -> Value {
    json!([{
        "uriTemplate": "test://template/{id}/data", "name": "template", "description": "Data of an id.",
        "mimeType": "application/json",
    }])
}

/// The contents of a resource, if there is one of that name.
pub(super) fn resource(uri: &str) -> Option<Value> {
    let text = |mime: &str, text: &str| json!({ "uri": uri, "mimeType": mime, "text": text });
    Some(match uri {
        "test://static-text" => text("text/plain", "This is the content of the static text resource."),
        "test://watched-resource" => text("text/plain", "This is the content of the watched resource."),
        "test://static-binary" => json!({ "uri": uri, "mimeType": "image/png", "blob": PNG }),
        _ => {
            let id = uri.strip_prefix("test://template/")?.strip_suffix("/data")?;
            let data = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
            text("application/json", &data.to_string())
        }
    })
}

pub(super) fn prompts() -> Value {
    let argument = |name: &str| json!({ "name": name, "description": "An argument.", "required": true });
    json!([
        { "name": "test_simple_prompt", "description": "A text." },
        { "name": "test_prompt_with_arguments", "description": "A text made of its arguments.",
          "arguments": [argument("arg1"), argument("arg2")] },
        { "name": "test_prompt_with_embedded_resource", "description": "A resource and a text.",
          "arguments": [argument("resourceUri")] },
        { "name": "test_prompt_with_image", "description": "A picture and a text." },
        { "name": "test_input_required_result_prompt", "description": "Needs to know what it is about." },
    ])
}

/// The messages of a prompt, if there is one of that name.
pub(super) fn prompt(name: &str, arguments: &Map<String, Value>) -> Option<Value> {
    let argument = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    let user = |content: Value| json!({ "role": "user", "content": content });
    let text = |text: &str| user(json!({ "type": "text", "text": text }));
    Some(match name {
        "test_simple_prompt" => json!([text("This is a simple prompt for testing.")]),
        "test_prompt_with_arguments" => {
            let (first, second) = (argument("arg1"), argument("arg2"));
            json!([text(&format!("Prompt with arguments: arg1='{first}', arg2='{second}'"))])
        }
        "test_prompt_with_embedded_resource" => json!([
            user(json!({ "type": "resource", "resource": {
                "uri": argument("resourceUri"), "mimeType": "text/plain",
                "text": "Embedded resource content for testing.",
            }})),
            text("Please process the embedded resource above."),
        ]),
        "test_prompt_with_image" => json!([
            user(json!({ "type": "image", "data": PNG, "mimeType": "image/png" })),
            text("Please analyze the image above."),
        ]),
        _ => return None,
    })
}

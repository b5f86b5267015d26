//! Schemas of tools, and arguments read as the request they stand for.

use inferd_proto::ClientFrame;
use rmcp::model::JsonObject;
use serde_json::{Value, json};

use super::Failure;

/// What every schema says it is.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of an object, given its `properties` and what else there is to say.
pub(super) fn object(properties: &Value, required: &[&str]) -> Value {
    json!({
        "$schema": DRAFT,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// `schema`, which is an object.
pub(super) fn schema(schema: Value) -> JsonObject {
    match schema {
        Value::Object(schema) => schema,
        _ => unreachable!("a schema is an object"),
    }
}

/// Refuses an argument that `schema` has no property for.
pub(super) fn refuse_unknown(arguments: &JsonObject, schema: &JsonObject) -> Result<(), Failure> {
    let known = |name: &str| schema["properties"].get(name).is_some();
    match arguments.keys().find(|name| !known(name)) {
        None => Ok(()),
        Some(name) => {
            let properties = schema["properties"].as_object().into_iter().flat_map(JsonObject::keys);
            let names: Vec<_> = properties.map(String::as_str).collect();
            Err(Failure::invalid(format!("{name}: unknown field, expected one of: {}", names.join(", "))))
        }
    }
}

/// Takes the text under `name` out of the arguments.
pub(super) fn take_text(arguments: &mut JsonObject, name: &str) -> Result<Option<String>, Failure> {
    match arguments.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Failure::invalid(format!("{name}: expected a string"))),
    }
}

/// What the arguments would be as a line of the wire: a wrong one is named as it is there.
pub(super) fn as_on_the_wire(arguments: &JsonObject) -> Result<ClientFrame, Failure> {
    let line = serde_json::to_vec(arguments).expect("JSON that was read can be written");
    Ok(ClientFrame::parse(&line).map_err(|rejected| rejected.error)?)
}

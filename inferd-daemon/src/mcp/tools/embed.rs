//! The tool `embed`: texts enter, their vectors leave.

use inferd_engine::Embedded;
use inferd_proto::{ClientFrame, EmbedRequest, EmbedUsage, TEXTS_MAX};
use rmcp::model::{CallToolResult, JsonObject, ProtocolVersion};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::racing::{enter, race};
use super::{Call, Failure, Offered, answered, described, fields};
use crate::answer::embed;
use crate::audit::Asked;

/// The most that the vectors of one call may take as JSON: what a session keeps for its client is bounded, too.
const VECTORS_BYTES_MAX: usize = 2 * 1024 * 1024;

pub(super) fn tool() -> Offered {
    let tool = described(
        "embed",
        "Embed texts",
        "Turns texts into vectors, one for each in their order, with a model that this daemon serves.",
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
    let request = request(std::mem::take(&mut call.arguments), schema)?;
    let named_model = request.model.is_some();
    let mut entry = enter(&call, received, || Asked::from(&request))?;
    let (service, client) = (&call.caller.service, &call.caller.client);
    let work = embed(&service.gate, &service.router, client, request, received);
    match race(&call, work).await {
        Ok((embedded, backend)) => {
            entry.embedded(&embedded, &backend);
            result(embedded, backend, reads_structure(&call))
        }
        Err(ended) => Err(ended.told(&mut entry, |error| Failure::of(error, named_model))),
    }
}

fn request(mut arguments: JsonObject, schema: &JsonObject) -> Result<EmbedRequest, Failure> {
    fields::refuse_unknown(&arguments, schema)?;
    arguments.insert("type".to_owned(), Value::from("embed"));
    match fields::as_on_the_wire(&arguments)? {
        ClientFrame::Embed(request) => {
            request.check()?;
            Ok(request)
        }
        _ => unreachable!("its type is `embed`"),
    }
}

/// What a call leads to.
#[derive(Serialize)]
struct Vectors {
    embeddings: Vec<Vec<f32>>,
    dimensions: usize,
    model: String,
    usage: EmbedUsage,
    backend: String,
}

fn result(embedded: Embedded, backend: String, structured: bool) -> Result<CallToolResult, Failure> {
    let Embedded { embeddings, model, usage } = embedded;
    let dimensions = embeddings.first().map_or(0, Vec::len);
    let vectors = Vectors { embeddings, dimensions, model, usage, backend };
    let json = serde_json::to_string(&vectors).expect("plain data is JSON");
    if json.len() > VECTORS_BYTES_MAX {
        let reason = format!("input: the vectors exceed {VECTORS_BYTES_MAX} bytes of JSON, ask in parts");
        return Err(Failure::invalid(reason));
    }
    let (count, model) = (vectors.embeddings.len(), &vectors.model);
    // Numbers by the thousand serve nobody who reads; where they are read nowhere else, they stand here.
    let text = if structured { format!("{count} vectors of {dimensions} numbers by {model}") } else { json };
    Ok(answered(&vectors, text))
}

/// Whether the caller's version knows structured results.
fn reads_structure(call: &Call) -> bool {
    let version = call.caller.context.protocol_version();
    version.is_none_or(|version| version.as_str() >= ProtocolVersion::V_2025_06_18.as_str())
}

fn input() -> Value {
    let properties = json!({
        "input": {
            "type": "array",
            "items": { "type": "string", "minLength": 1 },
            "minItems": 1,
            "maxItems": TEXTS_MAX,
            "description": "The texts",
        },
        "model": { "type": "string", "description": "A model or alias from list_models; default: the daemon's choice" },
        "dimensions": {
            "type": "integer",
            "minimum": 1,
            "description": "Length of the vectors, where the model can shorten them",
        },
    });
    fields::object(&properties, &["input"])
}

fn output() -> Value {
    let properties = json!({
        "embeddings": { "type": "array", "items": { "type": "array", "items": { "type": "number" } } },
        "dimensions": { "type": "integer" },
        "model": { "type": "string" },
        "usage": {
            "type": "object",
            "properties": { "prompt_tokens": { "type": "integer" } },
            "required": ["prompt_tokens"],
        },
        "backend": { "type": "string", "description": "The lane that made them" },
    });
    fields::object(&properties, &["embeddings", "dimensions", "model", "usage", "backend"])
}

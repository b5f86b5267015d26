//! Answers that must be JSON, which a peer can only be asked for.
//!
//! Invariant: an answer that is not JSON of the kind asked for does not pass for one.

use inferd_proto::ResponseFormat;
use serde_json::Value;

use crate::sampling::error::SamplingError;
use crate::sampling::text::unfenced;

/// What a system prompt says of the shape.
pub(super) fn instructions(format: &ResponseFormat) -> String {
    match format {
        ResponseFormat::JsonObject => {
            "Answer with one JSON object and nothing else: no code fence, no text around it.".to_owned()
        }
        ResponseFormat::JsonSchema { schema } => format!(
            "Answer with one JSON value and nothing else: no code fence, no text around it. It must be valid against \
             this JSON Schema: {schema}"
        ),
    }
}

/// The JSON of an answer, without the code fence that models like to add. Its schema is the model's to keep.
pub(super) fn checked(text: &str, format: &ResponseFormat) -> Result<String, SamplingError> {
    let json = unfenced(text.trim());
    match (serde_json::from_str(json), format) {
        (Ok(Value::Object(_)), _) | (Ok(_), ResponseFormat::JsonSchema { .. }) => Ok(json.to_owned()),
        (Ok(_), ResponseFormat::JsonObject) => {
            Err(SamplingError::Malformed("it is no JSON object".to_owned()))
        }
        (Err(error), _) => Err(SamplingError::Malformed(format!("it is no JSON: {error}"))),
    }
}

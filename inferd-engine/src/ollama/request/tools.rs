//! Tools on offer.

use inferd_proto::Tool;
use serde::{Serialize, Serializer};
use serde_json::Value;

pub(super) struct Tools<'a>(pub(super) &'a [Tool]);

#[derive(Serialize)]
struct Offer<'a> {
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: Parameters<'a>,
}

/// A function without a schema takes no arguments. That has to be said: Ollama makes up a schema without a type else,
/// and shows it to the model.
#[derive(Serialize)]
#[serde(untagged)]
enum Parameters<'a> {
    Schema(&'a Value),
    None { r#type: &'static str, properties: Empty },
}

#[derive(Serialize)]
struct Empty {}

impl Serialize for Tools<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Offer::from))
    }
}

impl<'a> From<&'a Tool> for Offer<'a> {
    fn from(tool: &'a Tool) -> Self {
        let Tool::Function { function } = tool;
        let parameters = match &function.parameters {
            Some(schema) => Parameters::Schema(schema),
            None => Parameters::None { r#type: "object", properties: Empty {} },
        };
        let description = function.description.as_deref();
        Self { r#type: "function", function: Function { name: &function.name, description, parameters } }
    }
}

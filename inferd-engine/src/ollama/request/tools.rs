//! Tools on offer.

use inferd_proto::Tool;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

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
    #[serde(serialize_with = "parameters")]
    parameters: Option<&'a Value>,
}

impl Serialize for Tools<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Offer::from))
    }
}

impl<'a> From<&'a Tool> for Offer<'a> {
    fn from(tool: &'a Tool) -> Self {
        let Tool::Function { function } = tool;
        let function = Function {
            name: &function.name,
            description: function.description.as_deref(),
            parameters: function.parameters.as_ref(),
        };
        Self { r#type: "function", function }
    }
}

/// A function without parameters has no arguments. Ollama wants that said: else it shows the model a schema without a
/// type.
#[expect(clippy::ref_option, reason = "what serde hands over")]
fn parameters<S: Serializer>(parameters: &Option<&Value>, serializer: S) -> Result<S::Ok, S::Error> {
    match parameters {
        Some(parameters) => parameters.serialize(serializer),
        None => json!({"type": "object", "properties": {}}).serialize(serializer),
    }
}

//! The body of `/v1/messages`, written straight from a borrowed request.
//!
//! Invariant: whatever the API has no name for is refused here, before anything is sent.

use inferd_proto::{Function, Resolved, ResponseFormat, Tool, ToolChoice, ToolMode};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::turns::{Blocks, Conversation, Turn};
use crate::remote::is_streamed;

/// The API requires a limit; this stands for none.
const MAX_TOKENS: u32 = 4096;

/// What the API cannot take: a field, and what it does with it, for people.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    pub(super) field: String,
    pub(super) how: &'static str,
}

/// The request.
#[derive(Serialize)]
pub(super) struct Ask<'a> {
    model: &'a str,
    max_tokens: u32,
    #[serde(skip_serializing_if = "Blocks::is_empty")]
    system: Blocks<'a>,
    messages: Vec<Turn<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "<[Tool]>::is_empty", serialize_with = "tools")]
    tools: &'a [Tool],
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<Output<'a>>,
}

impl<'a> Ask<'a> {
    /// The request, still without its model.
    pub(super) fn new(request: &'a Resolved) -> Result<Self, Unfit> {
        check(request)?;
        let Conversation { system, turns } = Conversation::of(&request.messages)?;
        Ok(Self {
            model: "",
            max_tokens: request.max_tokens.unwrap_or(MAX_TOKENS),
            system,
            messages: turns,
            stream: is_streamed(request),
            temperature: request.temperature,
            top_p: request.top_p,
            top_k: request.top_k,
            stop_sequences: &request.stop,
            tools: &request.tools,
            tool_choice: request.tool_choice.as_ref().map(Choice::from),
            output_config: request.response_format.as_ref().and_then(Output::of),
        })
    }

    /// The request of `model`.
    pub(super) fn of<'b>(self, model: &'b str) -> Ask<'b>
    where
        'a: 'b,
    {
        Ask { model, ..self }
    }
}

/// The options that it has no words for.
fn check(request: &Resolved) -> Result<(), Unfit> {
    let any_object = request.response_format == Some(ResponseFormat::JsonObject);
    for (field, asked, how) in [
        ("temperature", request.temperature.is_some_and(|heat| heat > 1.0), "takes at most 1"),
        ("seed", request.seed.is_some(), "does not take it"),
        ("grammar", request.grammar.is_some(), "does not take it"),
        ("image_token_budget", request.image_token_budget.is_some(), "does not take it"),
        // Its schemas have to name every property of an object, so that none stands for any object.
        ("response_format", any_object, "takes json_schema only"),
    ] {
        if asked {
            return Err(Unfit { field: field.to_owned(), how });
        }
    }
    Ok(())
}

fn tools<S: Serializer>(tools: &[Tool], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Named<'a> {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        input_schema: Schema<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    }

    #[derive(Serialize)]
    #[serde(untagged)]
    enum Schema<'a> {
        Given(&'a Value),
        Nothing { r#type: &'static str },
    }

    serializer.collect_seq(tools.iter().map(|Tool::Function { function }| {
        let Function { name, description, parameters, strict } = function;
        let input_schema = parameters.as_ref().map_or(Schema::Nothing { r#type: "object" }, Schema::Given);
        Named { name, description: description.as_deref(), input_schema, strict: *strict }
    }))
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Choice<'a> {
    Auto,
    Any,
    None,
    Tool { name: &'a str },
}

impl<'a> From<&'a ToolChoice> for Choice<'a> {
    fn from(choice: &'a ToolChoice) -> Self {
        match choice {
            ToolChoice::Mode(ToolMode::Auto) => Self::Auto,
            ToolChoice::Mode(ToolMode::Required) => Self::Any,
            ToolChoice::Mode(ToolMode::None) => Self::None,
            ToolChoice::Named { function, .. } => Self::Tool { name: &function.name },
        }
    }
}

#[derive(Serialize)]
struct Output<'a> {
    format: Shape<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Shape<'a> {
    JsonSchema { schema: &'a Value },
}

impl<'a> Output<'a> {
    fn of(format: &'a ResponseFormat) -> Option<Self> {
        match format {
            ResponseFormat::JsonObject => None,
            ResponseFormat::JsonSchema { schema } => Some(Self { format: Shape::JsonSchema { schema } }),
        }
    }
}

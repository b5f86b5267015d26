//! The body of `/api/chat`, written straight from a borrowed request.
//!
//! Invariants:
//! - Nothing is written for an option the request does not have.
//! - There is no [`Question`] for a request that asks for what Ollama cannot do.

mod tools;
mod turns;

use inferd_proto::{Resolved, ResponseFormat, Tool, ToolChoice, ToolMode};
use serde::Serialize;
use serde_json::Value;

use crate::GenerateError;
use crate::remote::{Remote, is_streamed};
use tools::Tools;
use turns::{Turn, turns};

/// What is sent.
#[derive(Serialize)]
pub(super) struct Chat<'a> {
    pub(super) model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) keep_alive: Option<&'a str>,
    #[serde(flatten)]
    pub(super) question: &'a Question<'a>,
}

/// All of it that the request says.
#[derive(Serialize)]
pub(super) struct Question<'a> {
    messages: Vec<Turn<'a>>,
    pub(super) stream: bool,
    #[serde(skip_serializing_if = "Options::is_empty")]
    options: Options<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<Tools<'a>>,
}

#[derive(Serialize, PartialEq, Default)]
struct Options<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_predict: Option<u32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Format<'a> {
    /// The word `json`: any object.
    Word(&'static str),
    Schema(&'a Value),
}

impl<'a> Question<'a> {
    pub(super) fn new(request: &'a Resolved, server: &Remote) -> Result<Self, GenerateError> {
        if let Some(field) = beyond(request) {
            return Err(server.refused(field, "does not take it"));
        }
        let options = Options {
            temperature: request.temperature,
            top_p: request.top_p,
            top_k: request.top_k,
            num_predict: request.max_tokens,
            stop: &request.stop,
            seed: request.seed,
        };
        Ok(Self {
            messages: turns(&request.messages)?,
            stream: is_streamed(request),
            options,
            format: request.response_format.as_ref().map(format).transpose()?,
            tools: Some(&*request.tools)
                .filter(|tools| {
                    !tools.is_empty() && request.tool_choice != Some(ToolChoice::Mode(ToolMode::None))
                })
                .map(Tools),
        })
    }
}

impl Options<'_> {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The first thing that is asked for and that Ollama has no word for. A tool choice of `none` is kept by offering no
/// tools.
fn beyond(request: &Resolved) -> Option<&'static str> {
    let forced =
        !matches!(request.tool_choice, None | Some(ToolChoice::Mode(ToolMode::Auto | ToolMode::None)));
    let is_strict = |tool: &Tool| {
        let Tool::Function { function } = tool;
        function.strict == Some(true)
    };
    [
        (request.grammar.is_some(), "grammar"),
        (request.image_token_budget.is_some(), "image_token_budget"),
        (forced, "tool_choice"),
        (request.tools.iter().any(is_strict), "tools.function.strict"),
    ]
    .into_iter()
    .find_map(|(asked, field)| asked.then_some(field))
}

fn format(format: &ResponseFormat) -> Result<Format<'_>, GenerateError> {
    match format {
        ResponseFormat::JsonObject => Ok(Format::Word("json")),
        ResponseFormat::JsonSchema { schema } if schema.is_object() => Ok(Format::Schema(schema)),
        ResponseFormat::JsonSchema { .. } => {
            Err(GenerateError::InvalidRequest("response_format.schema: expected an object".to_owned()))
        }
    }
}

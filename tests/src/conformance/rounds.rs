//! Calls that need the client's answers before they can be done, as 2026-07-28 has them: the call is answered with
//! what is needed, and made again with the answers.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, GetPromptResponse, InputRequiredResult, InputResponses,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::calling::text;
use super::{Context, of, result};

/// States given out and not yet brought back. A client holds a name of one; what it names stays here, so that it
/// can be neither read nor changed.
#[derive(Debug, Default)]
pub(super) struct States(Mutex<BTreeSet<(String, Uuid)>>);

/// States kept: the oldest is forgotten.
const STATES_MAX: usize = 1024;

impl States {
    fn give(&self, step: &str) -> String {
        let id = Uuid::now_v7();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= STATES_MAX {
            known.pop_first();
        }
        known.insert((step.to_owned(), id));
        format!("{step}.{id}")
    }

    /// Which step a state was given out for.
    fn step(&self, state: &str) -> Result<String, ErrorData> {
        let unknown = || ErrorData::invalid_params("this requestState was not given here", None);
        let (step, id) = state.split_once('.').ok_or_else(unknown)?;
        let id = Uuid::try_parse(id).map_err(|_| unknown())?;
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(&(step.to_owned(), id)) { Ok(step.to_owned()) } else { Err(unknown()) }
    }
}

fn elicit(message: &str, field: &str, kind: &str) -> Value {
    json!({ "method": "elicitation/create", "params": {
        "message": message,
        "requestedSchema": {
            "type": "object", "properties": { field: { "type": kind } }, "required": [field],
        },
    }})
}

fn sample(prompt: &str, tokens: u32) -> Value {
    json!({ "method": "sampling/createMessage", "params": {
        "messages": [{ "role": "user", "content": { "type": "text", "text": prompt } }], "maxTokens": tokens,
    }})
}

fn roots() -> Value {
    json!({ "method": "roots/list", "params": {} })
}

fn need(requests: Value, state: Option<String>) -> Result<InputRequiredResult, ErrorData> {
    Ok(InputRequiredResult::new(Some(of(requests)?), state))
}

pub(super) fn call(
    states: &States,
    call: &CallToolRequestParams,
    context: &Context,
) -> Result<CallToolResponse, ErrorData> {
    let none = InputResponses::new();
    let answers = call.input_responses.as_ref().unwrap_or(&none);
    let step = call.request_state.as_deref().map(|state| states.step(state)).transpose()?;
    let name = || elicit("What is your name?", "name", "string");
    let needed = match call.name.as_ref() {
        "test_input_required_result_elicitation" => {
            if let Some(name) = accepted(answers, "user_name", "name").as_ref().and_then(Value::as_str) {
                return done(&format!("Hello, {name}!"));
            }
            need(json!({ "user_name": name() }), None)?
        }
        "test_streaming_elicitation" => {
            if accepted(answers, "user_name", "name").is_some() {
                return done("Thank you");
            }
            need(json!({ "user_name": name() }), None)?
        }
        "test_input_required_result_sampling" => {
            if let Some(answer) = answers.get("capital_question") {
                return done(answer["content"]["text"].as_str().unwrap_or("no text"));
            }
            need(json!({ "capital_question": sample("What is the capital of France?", 100) }), None)?
        }
        "test_input_required_result_list_roots" => {
            if let Some(answer) = answers.get("client_roots") {
                return done(&format!("Your roots: {}", answer["roots"]));
            }
            need(json!({ "client_roots": roots() }), None)?
        }
        "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => {
            if step.is_some() && accepted(answers, "confirm", "ok").is_some() {
                return done("state-ok");
            }
            let confirm = elicit("Please confirm", "ok", "boolean");
            need(json!({ "confirm": confirm }), Some(states.give("confirm")))?
        }
        "test_input_required_result_multiple_inputs" => {
            let all = ["user_name", "greeting", "client_roots"];
            if step.is_some() && all.iter().all(|key| answers.contains_key(*key)) {
                return done("All three answers came");
            }
            let greeting = sample("Generate a greeting", 50);
            let requests = json!({ "user_name": name(), "greeting": greeting, "client_roots": roots() });
            need(requests, Some(states.give("all")))?
        }
        "test_input_required_result_multi_round" => {
            return rounds(states, step.as_deref(), answers);
        }
        "test_input_required_result_capabilities" => {
            if !answers.is_empty() {
                return done("Thank you");
            }
            need(within_capabilities(context), Some(states.give("capabilities")))?
        }
        _ => return Err(ErrorData::invalid_params("no such tool", Some(json!({ "name": call.name })))),
    };
    Ok(CallToolResponse::InputRequired(needed))
}

/// Two questions, the second asked once the first is answered.
fn rounds(
    states: &States,
    step: Option<&str>,
    answers: &InputResponses,
) -> Result<CallToolResponse, ErrorData> {
    let needed = match step {
        Some("second") if answers.contains_key("step2") => return done("Both answers came"),
        Some("first") if answers.contains_key("step1") => {
            let color = elicit("Step 2: What is your favorite color?", "color", "string");
            need(json!({ "step2": color }), Some(states.give("second")))?
        }
        _ => {
            let name = elicit("Step 1: What is your name?", "name", "string");
            need(json!({ "step1": name }), Some(states.give("first")))?
        }
    };
    Ok(CallToolResponse::InputRequired(needed))
}

fn within_capabilities(context: &Context) -> Value {
    let can = context.client_capabilities().unwrap_or_default();
    let mut requests = json!({});
    if can.sampling.is_some() {
        requests["greeting"] = sample("Generate a greeting", 50);
    }
    if can.elicitation.is_some() {
        requests["user_name"] = elicit("What is your name?", "name", "string");
    }
    if can.roots.is_some() {
        requests["client_roots"] = roots();
    }
    requests
}

pub(super) fn prompt(answers: Option<&InputResponses>) -> Result<GetPromptResponse, ErrorData> {
    let answer = answers.and_then(|answers| accepted(answers, "user_context", "context"));
    if let Some(about) = answer {
        let about = about.as_str().unwrap_or("nothing");
        let content = json!({ "type": "text", "text": format!("This prompt is about {about}.") });
        return Ok(GetPromptResponse::Complete(result(
            json!({ "messages": [{ "role": "user", "content": content }] }),
        )?));
    }
    let context = elicit("What context should the prompt use?", "context", "string");
    Ok(GetPromptResponse::InputRequired(need(json!({ "user_context": context }), None)?))
}

/// What the user filled in, if the client's answer has the form of one.
fn accepted(answers: &InputResponses, key: &str, field: &str) -> Option<Value> {
    let answer = answers.get(key)?;
    (answer["action"] == "accept").then(|| answer["content"].get(field).cloned()).flatten()
}

fn done(said: &str) -> Result<CallToolResponse, ErrorData> {
    Ok(CallToolResponse::Complete(result(json!({ "content": text(said) }))?))
}

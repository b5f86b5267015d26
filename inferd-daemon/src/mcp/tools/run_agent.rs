//! The tool `run_agent`: turns of a model and, between them, the tools it calls, until it answers.
//!
//! Invariants:
//! - Every step is admitted under the caller's own account, as a request of its own would be.
//! - A call that is cancelled ends the session, its generation and the calls of its tools.

use inferd_engine::servers::AgentFailure;
use inferd_proto::{AGENT_STEPS_MAX, Request, Resolved, StopReason, Timings, Usage};
use rmcp::model::{CallToolResult, JsonObject};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::courier::Courier;
use super::generate::{message, spoken};
use super::racing::{enter, race};
use super::telling::{Board, Finished, TEXT_BYTES_MAX, Telling, Turn};
use super::{Call, Failure, Offered, answered, described, fields};
use crate::agent::{self, AgentError, Asker};
use crate::audit::{Asked, Entry, Kind, Witness};

/// What holds them on the wire.
const FIELD: &str = "agent";

/// The arguments that say where and how it runs; the rest are those of a request.
const AGENT: [&str; 4] = ["server", "room", "thread", "max_steps"];

pub(super) fn tool() -> Offered {
    let tool = described(
        "run_agent",
        "Run an agent",
        "Has a model answer with the help of the tools of upstream servers: it calls them, step by step, until it has \
         its answer. Give a progress token to be shown the steps and the text as it grows; name `thread` to go on \
         with a conversation.",
        (input(), output()),
        false,
    );
    let schema = tool.input_schema.clone();
    Offered::own(tool, move |call| {
        let schema = schema.clone();
        async move { run(call, &schema).await }
    })
}

async fn run(mut call: Call, schema: &JsonObject) -> Result<CallToolResult, Failure> {
    let received = Instant::now();
    let mut request = request(std::mem::take(&mut call.arguments), schema)?;
    request.caller = call.caller.asker.clone();
    let named_model = request.model.is_some();
    let asked = || Asked { kind: Kind::Agent, ..Asked::from(&request) };
    let mut entry = enter(&call, received, asked)?;
    let board = Board::default();
    let ended = race(&call, turn(&call, request, received, &board, &mut entry)).await;
    let said = |error: &AgentError| Failure::of_turn(error, named_model).flattened(FIELD);
    ended.map(result).map_err(|ended| ended.told(&mut entry, said))
}

/// Runs the turn, shown as it goes on.
async fn turn(
    call: &Call,
    request: Resolved,
    received: Instant,
    board: &Board,
    entry: &mut Entry,
) -> Result<Finished, AgentError> {
    let caller = &call.caller;
    let courier = Courier::new(caller, board, "run_agent");
    let mut telling = Telling { board, received };
    let mut witness = Witness { entry, replies: &mut telling };
    let asker = Asker { client: &caller.client, owner: &caller.audited.owner };
    let request = Box::new(request);
    let outcome = tokio::select! {
        biased;
        outcome = agent::run(&caller.service, asker, request, received, &mut witness) => outcome,
        () = board.full() => Err(AgentError::Failed(AgentFailure::TurnTooLong(TEXT_BYTES_MAX))),
        never = courier.run() => match never {},
    };
    // What is shown on the way is shown before the end, or not at all.
    courier.deliver().await;
    outcome.map(|()| board.take())
}

/// The request that the arguments stand for.
fn request(mut arguments: JsonObject, schema: &JsonObject) -> Result<Resolved, Failure> {
    fields::refuse_unknown(&arguments, schema)?;
    let agent: JsonObject = AGENT.into_iter().filter_map(|name| arguments.remove_entry(name)).collect();
    arguments.insert(FIELD.to_owned(), Value::Object(agent));
    let request = spoken(arguments).map_err(|failure| failure.flattened(FIELD))?;
    let resolved = Request { stream: Some(true), ..request }.resolve();
    resolved.map_err(|error| Failure::from(error).flattened(FIELD))
}

/// What a call leads to.
#[derive(Serialize)]
struct Answered {
    text: String,
    stop_reason: StopReason,
    steps: u32,
    thread: String,
    usage: Usage,
    backend: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    timings: Timings,
}

fn result(finished: Finished) -> CallToolResult {
    let Finished { text, stop_reason, usage, backend, model, tool_calls: _, timings, turn } = finished;
    let Turn { thread, steps } = turn.expect("an agent turn that is done says how it was");
    let shown = text.clone();
    answered(&Answered { text, stop_reason, steps, thread, usage, backend, model, timings }, shown)
}

fn input() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let whole = |least: u64, description: &str| json!({ "type": "integer", "minimum": least, "description": description });
    let properties = json!({
        "prompt": text("What the user says; instead of `messages`"),
        "messages": {
            "type": "array",
            "minItems": 1,
            "items": message(),
            "description": "What is said, oldest turn first; instead of `prompt`",
        },
        "server": text("The upstream server to run on, with its tools; default: this daemon, with the tools of all"),
        "room": text("A configured profile: instructions, model, and the tools that may be called"),
        "thread": text("The conversation to go on with, as an earlier result named it; default: a new one"),
        "max_steps": {
            "type": "integer",
            "minimum": 1,
            "maximum": AGENT_STEPS_MAX,
            "description": "The most turns of the model",
        },
        "model": text("A model or alias from list_models; default: the room's, else the daemon's choice"),
        "max_tokens": whole(1, "The longest text of one step, in tokens"),
        "temperature": { "type": "number", "minimum": 0, "maximum": 2, "description": "How freely words are chosen" },
        "priority": { "enum": ["interactive", "normal", "batch"], "description": "Who goes first when it is busy" },
        "max_wait_ms": whole(0, "Longest time a step may wait in the queue, in milliseconds"),
        "deadline_ms": whole(0, "Longest time to the end of the answer, in milliseconds"),
    });
    fields::object(&properties, &[])
}

fn output() -> Value {
    let count = || json!({ "type": "integer" });
    let properties = json!({
        "text": { "type": "string", "description": "The answer: what was said in the last step" },
        "stop_reason": { "enum": ["end", "length", "tool_calls", "cancelled", "error"] },
        "steps": { "type": "integer", "description": "Turns of the model" },
        "thread": { "type": "string", "description": "The conversation, for the next call to name" },
        "usage": {
            "type": "object",
            "properties": { "prompt_tokens": count(), "completion_tokens": count() },
            "required": ["prompt_tokens", "completion_tokens"],
            "description": "Of all steps",
        },
        "backend": { "type": "string", "description": "The lane of the last step" },
        "model": { "type": "string", "description": "The model of the last step, where the engine says so" },
        "timings": {
            "type": "object",
            "properties": { "queue_ms": count(), "first_token_ms": count(), "total_ms": count() },
            "required": ["queue_ms", "total_ms"],
        },
    });
    fields::object(&properties, &["text", "stop_reason", "steps", "thread", "usage", "backend", "timings"])
}

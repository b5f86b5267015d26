//! The Ollama engine against a scripted server: what it asks, and what it makes of answers. What it has in common with
//! the other engines that speak HTTP is tested with them, in `faults`.

mod answers;
mod requests;

use inferd_engine::RemoteConfig;
use inferd_engine::ollama::{Ollama, OllamaConfig};
use inferd_engine::testing::contract::{question, rest};
use inferd_engine::testing::upstream::{Reply, Upstream};
use inferd_engine::{Backend, GenerateError, TokenEvent};
use inferd_proto::{FunctionCall, FunctionTag, StopReason, ToolCall, Usage};
use serde_json::{Value, json};

fn config(upstream: &Upstream) -> OllamaConfig {
    let mut config = RemoteConfig::new("lane", upstream.url());
    config.models = vec!["m".into()];
    config.into()
}

fn engine(upstream: &Upstream) -> Ollama {
    Ollama::new(config(upstream)).expect("a good configuration")
}

/// All events of an answer to `reply`.
async fn events(reply: Reply) -> Vec<TokenEvent> {
    let upstream = Upstream::start([reply]).await;
    rest(engine(&upstream).generate(question(true)).await.expect("an answer begins")).await
}

/// The error in the place of an answer.
async fn refused(reply: Reply) -> GenerateError {
    let upstream = Upstream::start([reply]).await;
    engine(&upstream).generate(question(true)).await.err().expect("no answer begins")
}

/// A line with this message, as Ollama writes it.
fn line(message: &Value) -> String {
    json!({"model": "m-1", "created_at": "2025-07-07T20:22:19.184789Z", "message": message, "done": false})
        .to_string()
}

fn says(text: &str) -> String {
    line(&json!({"role": "assistant", "content": text}))
}

/// The last line, with these fields besides.
fn last(fields: &Value) -> String {
    let mut line = json!({
        "model": "m-1", "created_at": "2025-07-07T20:22:19.19314Z",
        "message": {"role": "assistant", "content": ""}, "done": true, "total_duration": 182_242_375
    });
    for (name, value) in fields.as_object().expect("fields") {
        line[name] = value.clone();
    }
    line.to_string()
}

/// The last line of an answer of 11 and 5 tokens.
fn stop() -> String {
    last(&json!({"done_reason": "stop", "prompt_eval_count": 11, "eval_count": 5}))
}

fn token(text: &str) -> TokenEvent {
    TokenEvent::Token(text.into())
}

fn done(stop_reason: StopReason, prompt_tokens: u32, completion_tokens: u32) -> TokenEvent {
    done_calling(stop_reason, prompt_tokens, completion_tokens, Vec::new())
}

fn done_calling(
    stop_reason: StopReason,
    prompt_tokens: u32,
    completion_tokens: u32,
    tool_calls: Vec<ToolCall>,
) -> TokenEvent {
    let usage = Usage { prompt_tokens, completion_tokens };
    TokenEvent::Done { stop_reason, usage, tool_calls, model: Some("m-1".into()) }
}

fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    let function = FunctionCall { name: name.into(), arguments: arguments.into() };
    ToolCall { id: id.into(), r#type: FunctionTag::Function, function }
}

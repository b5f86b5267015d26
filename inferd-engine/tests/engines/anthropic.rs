//! The Anthropic engine against a scripted server: what it asks, and what it makes of answers. What it has in common with
//! the other engines that speak HTTP is tested with them, in `faults`.

mod answers;
mod failures;
mod requests;

use inferd_engine::RemoteConfig;
use inferd_engine::anthropic::Anthropic;
use inferd_engine::testing::contract::{question, rest};
use inferd_engine::testing::upstream::{Reply, Upstream};
use inferd_engine::{Backend, GenerateError, TokenEvent};
use inferd_proto::{FunctionCall, FunctionTag, StopReason, ToolCall, Usage};
use serde_json::{Value, json};

const KEY: &str = "my-own-key-71";

fn config(upstream: &Upstream) -> RemoteConfig {
    let mut config = RemoteConfig::new("lane", upstream.url());
    config.models = vec!["m".into()];
    config.api_key = Some(KEY.into());
    config
}

fn engine(upstream: &Upstream) -> Anthropic {
    Anthropic::new(config(upstream)).expect("a good configuration")
}

/// All events of an answer to `reply`.
async fn events(reply: Reply) -> Vec<TokenEvent> {
    let upstream = Upstream::start([reply]).await;
    rest(engine(&upstream).generate(question(true)).await.expect("an answer begins")).await
}

/// A stream of these events, named as the API names them.
fn stream(events: impl IntoIterator<Item = Value>) -> Reply {
    events.into_iter().fold(Reply::events([""; 0]), |reply, event| {
        let name = event["type"].as_str().unwrap_or("message").to_owned();
        reply.bytes(format!("event: {name}\ndata: {event}\n\n"))
    })
}

/// The beginning of an answer: 7 tokens were read.
fn start() -> Value {
    json!({"type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m-1", "content": [], "stop_reason": null,
        "stop_sequence": null, "usage": {"input_tokens": 7, "output_tokens": 1}
    }})
}

fn block(index: usize, block: &Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: usize, delta: &Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn says(text: &str) -> Value {
    delta(0, &json!({"type": "text_delta", "text": text}))
}

/// The reason of the end: 5 tokens were written.
fn end(reason: &str) -> Value {
    let delta = json!({"stop_reason": reason, "stop_sequence": null});
    json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 5}})
}

fn stop() -> Value {
    json!({"type": "message_stop"})
}

fn token(text: &str) -> TokenEvent {
    TokenEvent::Token(text.into())
}

fn thinking(text: &str) -> TokenEvent {
    TokenEvent::Thinking(text.into())
}

fn done(stop_reason: StopReason, prompt_tokens: u32, completion_tokens: u32) -> TokenEvent {
    let usage = Usage { prompt_tokens, completion_tokens };
    TokenEvent::Done { stop_reason, usage, tool_calls: Vec::new(), model: Some("m-1".into()) }
}

fn done_calling(calls: Vec<ToolCall>) -> TokenEvent {
    let usage = Usage { prompt_tokens: 7, completion_tokens: 5 };
    TokenEvent::Done {
        stop_reason: StopReason::ToolCalls,
        usage,
        tool_calls: calls,
        model: Some("m-1".into()),
    }
}

fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    let function = FunctionCall { name: name.into(), arguments: arguments.into() };
    ToolCall { id: id.into(), r#type: FunctionTag::Function, function }
}

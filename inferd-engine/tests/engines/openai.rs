//! The OpenAI engine against a scripted server: what it asks, and what it makes of answers. What it has in common with
//! the other engines that speak HTTP is tested with them, in `faults`.

mod answers;
mod requests;

use inferd_engine::RemoteConfig;
use inferd_engine::openai::OpenAi;
use inferd_engine::testing::contract::{question, rest};
use inferd_engine::testing::upstream::{Reply, Upstream};
use inferd_engine::{Backend, GenerateError, TokenEvent};
use inferd_proto::{StopReason, ToolCall, Usage};
use serde_json::{Value, json};

const KEY: &str = "my-own-key-71";

fn config(upstream: &Upstream) -> RemoteConfig {
    let mut config = RemoteConfig::new("lane", upstream.url());
    config.models = vec!["m".into()];
    config.api_key = Some(KEY.into());
    config
}

fn engine(upstream: &Upstream) -> OpenAi {
    OpenAi::new(config(upstream)).expect("a good configuration")
}

/// All events of an answer to `reply`.
async fn events(reply: Reply) -> Vec<TokenEvent> {
    let upstream = Upstream::start([reply]).await;
    rest(engine(&upstream).generate(question(true)).await.expect("an answer begins")).await
}

/// A chunk whose choice has these fields.
fn choice(fields: &Value) -> String {
    json!({"id": "c", "object": "chat.completion.chunk", "model": "m-1", "choices": [fields]}).to_string()
}

fn delta(delta: &Value) -> String {
    choice(&json!({"index": 0, "delta": delta}))
}

fn says(text: &str) -> String {
    delta(&json!({"content": text}))
}

fn finish(reason: &str) -> String {
    choice(&json!({"index": 0, "delta": {}, "finish_reason": reason}))
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

//! The Ollama engine against a scripted server: what it asks, and what it makes of answers. What it has in common with
//! the other engines that speak HTTP is tested with them, in `faults`.

mod answers;
mod requests;

use std::sync::Arc;

use inferd_engine::testing::contract::question;
use inferd_engine::testing::upstream::{Reply, Upstream};
use inferd_engine::{Backend, GenerateError, RemoteConfig, TokenEvent};
use inferd_proto::StopReason;
use serde_json::{Value, json};

use crate::asked;
use crate::lane::{KEY, keyed, keyless};
use crate::protocols::Engine;
use crate::protocols::ollama::Ollama;
use crate::told::{answered, call, done, done_calling, failure, thinking, token};

fn engine(upstream: &Upstream) -> Arc<dyn Backend> {
    Ollama.built(keyless(upstream))
}

/// All events of an answer to `reply`.
async fn events(reply: Reply) -> Vec<TokenEvent> {
    asked::events(&Ollama, reply).await
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

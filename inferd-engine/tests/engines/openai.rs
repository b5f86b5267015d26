//! The OpenAI engine against a scripted server: what it asks, and what it makes of answers. What it has in common with
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
use crate::lane::{KEY, keyed};
use crate::protocols::Engine;
use crate::protocols::openai::OpenAi;
use crate::told::{answered, call, done, done_calling, failure, refusal, thinking, token};

fn engine(upstream: &Upstream) -> Arc<dyn Backend> {
    OpenAi.built(keyed(upstream))
}

/// All events of an answer to `reply`.
async fn events(reply: Reply) -> Vec<TokenEvent> {
    asked::events(&OpenAi, reply).await
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

//! The Anthropic engine against a scripted server: what it asks, and what it makes of answers. What it has in common with
//! the other engines that speak HTTP is tested with them, in `faults`.

mod answers;
mod failures;
mod requests;

use std::sync::Arc;

use inferd_engine::testing::contract::question;
use inferd_engine::testing::upstream::{Reply, Upstream};
use inferd_engine::{Backend, GenerateError, TokenEvent};
use inferd_proto::StopReason;
use serde_json::{Value, json};

use crate::asked;
use crate::lane::{KEY, keyed};
use crate::protocols::Engine;
use crate::protocols::anthropic::Anthropic;
use crate::told::{answered, call, done, done_calling, thinking, token};

fn engine(upstream: &Upstream) -> Arc<dyn Backend> {
    Anthropic.built(keyed(upstream))
}

/// All events of an answer to `reply`.
async fn events(reply: Reply) -> Vec<TokenEvent> {
    asked::events(&Anthropic, reply).await
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

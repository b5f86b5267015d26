//! The inferd engine against a scripted daemon: what it asks, what it makes of answers, how it fails, and what it does
//! with connections.

mod answers;
mod connections;
mod failures;
mod local;
mod others;
mod requests;

use std::time::Duration;

use inferd_engine::inferd::{Inferd, InferdAddress, InferdConfig};
use inferd_engine::testing::contract::question;
use inferd_engine::testing::upstream::{Answer, Recorded, Reply, Upstream};
use inferd_engine::{Backend, GenerateError, TokenEvent};
use inferd_proto::StopReason;
use serde_json::{Value, json};

use crate::lane::{KEY, PATIENCE, SHORT};
use crate::told::{self, answered, call, refusal, thinking, token as said};

fn hello() -> Reply {
    Reply::frames([&json!({
        "type": "hello", "protocol": 1, "version": "0.3.0", "features": ["cancel"],
        "limits": {"frame_bytes_max": 1, "open_requests_max": 1, "active": 1, "queue_depth": 1},
        "models": [
            {"name": "m", "backend": "a", "ready": true},
            {"name": "*", "backend": "b", "ready": false},
            {"name": "m", "backend": "c", "ready": true},
        ],
    })])
}

/// A daemon that answers as `script` says.
async fn daemon(script: impl IntoIterator<Item = Answer>) -> Upstream {
    Upstream::daemon(hello(), script).await
}

fn config(upstream: &Upstream) -> InferdConfig {
    InferdConfig::new("lane", InferdAddress::Tcp(upstream.address().to_string()))
}

fn engine(upstream: &Upstream) -> Inferd {
    Inferd::new(config(upstream)).expect("a good configuration")
}

/// Replies with `frames`, which get the id of the request where they have none, and then does what `then` adds.
fn says_and(frames: Vec<Value>, then: impl Fn(Reply) -> Reply + Send + Sync + 'static) -> Answer {
    Box::new(move |asked: &Recorded| {
        let id = asked.json()["id"].clone();
        let named: Vec<Value> = frames.iter().cloned().map(|frame| named(frame, &id)).collect();
        then(Reply::frames(&named))
    })
}

fn says(frames: Vec<Value>) -> Answer {
    says_and(frames, |reply| reply)
}

fn named(mut frame: Value, id: &Value) -> Value {
    if let Value::Object(fields) = &mut frame {
        fields.entry("id").or_insert_with(|| id.clone());
    }
    frame
}

fn token(content: &str) -> Value {
    json!({"type": "token", "content": content})
}

fn done(content: &str) -> Value {
    done_for("end", content)
}

fn done_for(stop_reason: &str, content: &str) -> Value {
    json!({
        "type": "done", "content": content, "usage": {"prompt_tokens": 3, "completion_tokens": 2},
        "stop_reason": stop_reason, "backend": "over there", "model": "m-1",
        "timings": {"queue_ms": 1, "first_token_ms": 2, "total_ms": 3},
    })
}

fn error(code: &str) -> Value {
    json!({"type": "error", "code": code, "message": format!("because, {KEY}")})
}

fn ended(stop_reason: StopReason) -> TokenEvent {
    told::done(stop_reason, 3, 2)
}

/// All events of an answer of `frames`.
async fn events(frames: Vec<Value>) -> Vec<TokenEvent> {
    events_of(says(frames)).await
}

async fn events_of(answer: Answer) -> Vec<TokenEvent> {
    let upstream = daemon([answer]).await;
    answered(&engine(&upstream), question(true)).await
}

/// The error in the place of an answer.
async fn refused(answer: Answer) -> GenerateError {
    let upstream = daemon([answer]).await;
    let mut config = config(&upstream);
    config.api_key = Some(KEY.into());
    let engine = Inferd::new(config).expect("a good configuration");
    refusal(&engine, question(true)).await
}

//! The server made of vendors' client libraries, and the daemon before it.
//!
//! Invariant: what the server answers with is the request it was sent, so a request says itself whether it arrived as it
//! was meant.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use inferd_tests::{Daemon, Home};
use serde_json::{Value, json};

use crate::types_url;

/// The only key the server takes.
pub(crate) const KEY: &str = "a-key-of-no-worth";

/// A daemon whose one lane is of this kind and leads to the server.
pub(crate) async fn daemon(kind: &str) -> Result<Daemon> {
    let base_url = types_url()?;
    let config = format!(
        "[[backends]]\nname = \"vendor\"\nkind = \"{kind}\"\nbase_url = \"{base_url}\"\napi_key_env = \"VENDOR_KEY\"\n"
    );
    Daemon::start_in(&Arc::new(Home::new(&config)?.env("VENDOR_KEY", KEY))).await
}

/// What came of a request.
pub(crate) struct Exchange {
    /// The body that the server was sent.
    pub(crate) sent: Value,
    /// All frames; the last is `done`.
    pub(crate) frames: Vec<Value>,
}

impl Exchange {
    pub(crate) fn done(&self) -> &Value {
        self.frames.last().unwrap_or(&Value::Null)
    }
}

/// A request of one question.
pub(crate) fn question() -> Value {
    json!({"id": "q", "model": "echo", "messages": [{"role": "user", "content": "why, wörld?"}]})
}

/// Has the daemon answer `request`, which the server is to take.
pub(crate) async fn exchange(daemon: &Daemon, request: &Value) -> Result<Exchange> {
    let frames = daemon.connect().await?.ask(request).await?;
    let done = frames.last().context("an answer has a last frame")?;
    if done["type"] != "done" {
        bail!("{request} was refused: {done}");
    }
    let text = match &done["tool_calls"][0]["function"]["arguments"] {
        Value::String(arguments) => arguments,
        _ => done["content"].as_str().context("an answer has content")?,
    };
    let echo: Value = serde_json::from_str(text).with_context(|| format!("no request in {done}"))?;
    Ok(Exchange { sent: echo["request"].clone(), frames })
}

/// As [`exchange`], once streamed and once whole. The server is to be sent the same, but for what `stream` is about.
pub(crate) async fn exchange_both(daemon: &Daemon, request: &Value) -> Result<[Exchange; 2]> {
    let mut exchanges = Vec::new();
    for stream in [true, false] {
        let mut request = request.clone();
        request["stream"] = json!(stream);
        exchanges.push(exchange(daemon, &request).await?);
    }
    exchanges.try_into().ok().context("two of them")
}

/// The terminal frame of a request that is to be refused.
pub(crate) async fn refused(daemon: &Daemon, request: &Value) -> Result<String> {
    let error = daemon.connect().await?.terminal(request).await?;
    match (error["code"].as_str(), error["message"].as_str()) {
        (Some("invalid_request"), Some(message)) => Ok(message.to_owned()),
        _ => bail!("{request} was not refused: {error}"),
    }
}

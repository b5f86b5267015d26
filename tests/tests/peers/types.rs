//! The server made of vendors' client libraries, and the daemon before it.
//!
//! Invariant: what the server answers with is the request it was sent, so a request says itself whether it arrived as it
//! was meant.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use inferd_tests::{Daemon, Home};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{types_url, with};

/// The only key the server takes.
const KEY: &str = "a-key-of-no-worth";

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

    /// The text of its tokens of one kind; those of the answer itself have none.
    pub(crate) fn told(&self, kind: Option<&str>) -> String {
        let frames = self.frames.iter().filter(|frame| frame["type"] == "token");
        frames
            .filter(|frame| frame["kind"].as_str() == kind)
            .filter_map(|frame| frame["content"].as_str())
            .collect()
    }

    /// What was sent beside `plain` fields.
    pub(crate) fn sent_beside(&self, plain: &[&str]) -> Value {
        let fields = self.sent.as_object().into_iter().flatten();
        fields
            .filter(|(name, _)| !plain.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect::<Map<_, _>>()
            .into()
    }
}

/// A request of one question.
pub(crate) fn question() -> Value {
    json!({"id": "q", "model": "echo", "messages": [{"role": "user", "content": "why, wörld?"}]})
}

/// [`question`] with more fields.
pub(crate) fn asking(more: Value) -> Value {
    with(question(), more)
}

/// An offer of two tools, of which the server calls the first unless it is told otherwise.
pub(crate) fn tools() -> Value {
    let function = |name: &str| json!({"name": name, "description": "of a city", "parameters": city()});
    json!([
        {"type": "function", "function": function("weather")},
        {"type": "function", "function": function("time")},
    ])
}

/// The arguments of those tools.
pub(crate) fn city() -> Value {
    json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})
}

/// A conversation with turns of every role and an image, of which a tool is called for the second answer.
pub(crate) fn conversation() -> Value {
    let function = json!({"name": "weather", "arguments": "{\"city\":\"Tromsø\"}"});
    json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [
            {"type": "text", "text": "Where is this?"},
            {"type": "image", "mime": "image/png", "data": "iVBORw0KGgo="},
        ]},
        {"role": "assistant", "content": "", "tool_calls": [{"id": "call_1", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "snow"},
        {"role": "assistant", "content": "In Tromsø."},
        {"role": "user", "content": [{"type": "text", "text": "Sure?"}]},
    ])
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

/// As [`exchange`], once streamed and once whole.
pub(crate) async fn exchange_both(daemon: &Daemon, request: &Value) -> Result<[Exchange; 2]> {
    let streamed = exchange(daemon, &with(request.clone(), json!({"stream": true}))).await?;
    let whole = exchange(daemon, &with(request.clone(), json!({"stream": false}))).await?;
    Ok([streamed, whole])
}

/// Holds the options of each pair to arrive as its second says, beside the `plain` fields of every request.
pub(crate) async fn check_options(daemon: &Daemon, plain: &[&str], options: &[(Value, Value)]) -> Result<()> {
    for (asked, expected) in options {
        for exchange in exchange_both(daemon, &asking(asked.clone())).await? {
            assert_eq!(exchange.sent_beside(plain), *expected, "for {asked}");
        }
    }
    Ok(())
}

/// Holds a request with tools under each choice to arrive as said, and the tool called, if one is, to be passed on.
pub(crate) async fn check_tools(
    daemon: &Daemon,
    offered: &Value,
    choices: &[(Value, Value, Option<&str>)],
) -> Result<()> {
    for (choice, expected, called) in choices {
        let mut request = asking(json!({"tools": tools()}));
        if !choice.is_null() {
            request["tool_choice"] = choice.clone();
        }
        for exchange in exchange_both(daemon, &request).await? {
            assert_eq!((&exchange.sent["tools"], &exchange.sent["tool_choice"]), (offered, expected));
            let done = exchange.done();
            let stop_reason = if called.is_some() { "tool_calls" } else { "end" };
            assert_eq!(done["stop_reason"], stop_reason, "for {choice}");
            assert_eq!(done["tool_calls"][0]["function"]["name"].as_str(), *called, "for {choice}");
        }
    }
    Ok(())
}

/// Has a tool called and answered, and gives what was sent then.
pub(crate) async fn answer_a_call(daemon: &Daemon) -> Result<Exchange> {
    let mut request = asking(json!({"tools": tools()}));
    let call = exchange(daemon, &request).await?.done()["tool_calls"].clone();
    let messages = request["messages"].as_array_mut().context("a request has messages")?;
    messages.push(json!({"role": "assistant", "content": "", "tool_calls": call}));
    messages.push(json!({"role": "tool", "tool_call_id": call[0]["id"], "content": "snow"}));
    let answered = exchange(daemon, &request).await?;
    assert_eq!(answered.done()["stop_reason"], "end");
    Ok(answered)
}

/// Holds reasoning, usage and a length that was reached to be told as the server tells them.
pub(crate) async fn check_answers(daemon: &Daemon) -> Result<()> {
    let thinking = exchange(daemon, &asking(json!({"model": "thinker"}))).await?;
    assert_eq!(thinking.told(Some("thinking")), "hm, wörds");
    assert_eq!(thinking.done()["content"], thinking.told(None));
    assert_eq!(thinking.done()["usage"]["prompt_tokens"], 11);
    let mut client = daemon.connect().await?;
    for stream in [true, false] {
        let done = client.terminal(&asking(json!({"max_tokens": 3, "stream": stream}))).await?;
        assert_eq!((&done["stop_reason"], &done["content"]), (&json!("length"), &json!("{\"r")));
    }
    Ok(())
}

/// Holds each of these options to be refused by its name.
pub(crate) async fn check_refused(daemon: &Daemon, options: &[Value]) -> Result<()> {
    for option in options {
        let error = daemon.connect().await?.terminal(&asking(option.clone())).await?;
        let name =
            option.as_object().and_then(|option| option.keys().next()).context("an option has a name")?;
        let message = error["message"].as_str().unwrap_or_default();
        assert!(error["code"] == "invalid_request" && message.starts_with(&format!("{name}: ")), "{error}");
    }
    Ok(())
}

/// Holds the server itself to refuse these bodies, sent to it as they are.
pub(crate) async fn check_server_refuses(path: &str, headers: &str, bodies: &[Value]) -> Result<()> {
    let address = types_url()?.replace("http://", "");
    for body in bodies {
        let body = body.to_string();
        let mut stream = TcpStream::connect(&address).await?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nauthorization: Bearer {KEY}\r\n{headers}\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{body} got {answer}");
    }
    Ok(())
}

/// Holds texts to be embedded as the server does.
pub(crate) async fn check_embeddings(daemon: &Daemon) -> Result<()> {
    let mut client = daemon.connect().await?;
    // As many numbers as were asked for, each the place of its text.
    for dimensions in [None, Some(2)] {
        let expected = json!([vec![0.0; dimensions.unwrap_or(4)], vec![1.0; dimensions.unwrap_or(4)]]);
        let mut line = json!({"type": "embed", "id": "e", "model": "echo", "input": ["one", "twö"]});
        if let Some(dimensions) = dimensions {
            line["dimensions"] = json!(dimensions);
        }
        client.send(&line).await?;
        let frame = client.frame().await?;
        assert_eq!((&frame["type"], &frame["embeddings"]), (&json!("embeddings"), &expected), "{frame}");
        assert_eq!(frame["usage"]["prompt_tokens"], 2);
    }
    Ok(())
}

/// The models that the daemon has learnt from the server.
pub(crate) async fn models(daemon: &Daemon) -> Result<Vec<String>> {
    let state = daemon.until(|now| now["lanes"][0]["models"] != json!(["*"])).await?;
    let models = state["lanes"][0]["models"].as_array().context("a lane has models")?;
    Ok(models.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

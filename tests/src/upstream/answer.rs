//! What an upstream can be told to do with a request.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::sleep;

use super::Turn;
use crate::http::Connection;

/// How the upstream answers one request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// These tokens, each after this delay: streamed if the request asks for a stream, else as one body.
    Tokens(Vec<String>, Duration),
    /// These tools are called, each with these arguments.
    Calls(Vec<(String, String)>),
    /// These tokens at once, then the connection is closed without an end mark.
    CutShort(Vec<String>),
    /// These tokens at once, then an answer that is whole as far as HTTP goes, without an end mark.
    Unfinished(Vec<String>),
    /// These tokens at once, then the connection is reset. Without tokens there is no head either.
    Reset(Vec<String>),
    /// The first tokens at once, the others when the gate opens. Without first tokens there is no head either until then.
    Held(Vec<String>, Gate, Vec<String>),
    /// This status with this body.
    Status(u16, String),
    /// These bytes, whatever they are, then the connection is closed.
    Raw(String),
    /// Nothing at all, for as long as the peer stays.
    Silence,
}

impl Answer {
    /// Tokens without a delay.
    #[must_use]
    pub fn tokens(tokens: &[&str]) -> Self {
        Self::slow_tokens(tokens, Duration::ZERO)
    }

    /// Tokens, each after this delay.
    #[must_use]
    pub fn slow_tokens(tokens: &[&str], delay: Duration) -> Self {
        Self::Tokens(owned(tokens), delay)
    }

    /// Tools, and what they are called with.
    #[must_use]
    pub fn calls(calls: &[(&str, &str)]) -> Self {
        Self::Calls(calls.iter().map(|(name, with)| ((*name).to_owned(), (*with).to_owned())).collect())
    }

    /// Tokens that end without an end mark.
    #[must_use]
    pub fn cut_short(tokens: &[&str]) -> Self {
        Self::CutShort(owned(tokens))
    }

    /// The first tokens at once, the others when the gate opens.
    #[must_use]
    pub fn held(first: &[&str], gate: &Gate, then: &[&str]) -> Self {
        Self::Held(owned(first), gate.clone(), owned(then))
    }

    /// A status with headers, as in `200 OK\r\ncontent-type: text/html`, and a body. The connection is closed after it.
    #[must_use]
    pub fn http(head: &str, body: &str) -> Self {
        let length = body.len();
        Self::Raw(format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n{body}"))
    }

    /// As [`Answer::http`], but the body is to be longer than what comes of it.
    #[must_use]
    pub fn http_cut(head: &str, body: &str) -> Self {
        let length = body.len() + 1;
        Self::Raw(format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n{body}"))
    }

    /// A refusal as servers of this API write it.
    #[must_use]
    pub fn refusal(status: u16, message: &str) -> Self {
        Self::Status(status, json!({"error": {"message": message}}).to_string())
    }

    /// Writes the answer, streamed if that was asked for. The turn ends before the last bytes.
    pub(super) async fn play(
        self,
        connection: &mut Connection,
        turn: Turn<'_>,
        stream: bool,
    ) -> io::Result<()> {
        match self {
            Self::Tokens(tokens, delay) if stream => {
                connection.begin_events().await?;
                for token in &tokens {
                    connection.stays_for(sleep(delay)).await?;
                    send(connection, &turn, token).await?;
                }
                turn.end();
                connection.last_events(&[&finish(&tokens).to_string(), "[DONE]"]).await
            }
            Self::Held(first, gate, then) if stream => {
                if first.is_empty() {
                    connection.stays_for(gate.opened()).await?;
                }
                begin(connection, &turn, &first).await?;
                connection.stays_for(gate.opened()).await?;
                for token in &then {
                    send(connection, &turn, token).await?;
                }
                turn.end();
                connection.last_events(&[&finish(&[first, then].concat()).to_string(), "[DONE]"]).await
            }
            Self::Held(first, gate, then) => {
                connection.stays_for(gate.opened()).await?;
                turn.end();
                connection.whole(200, &completion(&[first, then].concat()).to_string()).await
            }
            Self::Tokens(tokens, delay) => {
                for _ in &tokens {
                    connection.stays_for(sleep(delay)).await?;
                }
                turn.end();
                connection.whole(200, &completion(&tokens).to_string()).await
            }
            Self::Calls(calls) if stream => {
                connection.begin_events().await?;
                turn.end();
                let called = chunk(&json!({"tool_calls": tool_calls(&calls)}), &Value::Null);
                let mut last = chunk(&json!({}), &json!("tool_calls"));
                last["usage"] = usage(&[]);
                connection.last_events(&[&called.to_string(), &last.to_string(), "[DONE]"]).await
            }
            Self::Calls(calls) => {
                turn.end();
                let mut whole = completion(&[]);
                whole["choices"][0]["message"]["tool_calls"] = tool_calls(&calls);
                whole["choices"][0]["finish_reason"] = json!("tool_calls");
                connection.whole(200, &whole.to_string()).await
            }
            Self::CutShort(tokens) => {
                begin(connection, &turn, &tokens).await?;
                turn.end();
                connection.close().await
            }
            Self::Unfinished(tokens) => {
                begin(connection, &turn, &tokens).await?;
                turn.end();
                connection.last_events(&[]).await
            }
            Self::Reset(tokens) => {
                if !tokens.is_empty() {
                    begin(connection, &turn, &tokens).await?;
                }
                turn.end();
                connection.reset()?;
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Self::Status(code, body) => {
                turn.end();
                connection.whole(code, &body).await
            }
            Self::Raw(bytes) => {
                turn.end();
                connection.raw(&bytes).await
            }
            Self::Silence => connection.stays_for(std::future::pending()).await,
        }
    }
}

/// The head and the first tokens of a stream.
async fn begin(connection: &mut Connection, turn: &Turn<'_>, tokens: &[String]) -> io::Result<()> {
    connection.begin_events().await?;
    for token in tokens {
        send(connection, turn, token).await?;
    }
    Ok(())
}

async fn send(connection: &mut Connection, turn: &Turn<'_>, token: &str) -> io::Result<()> {
    turn.token();
    connection.event(&delta(token).to_string()).await
}

fn owned(tokens: &[&str]) -> Vec<String> {
    tokens.iter().map(ToString::to_string).collect()
}

/// What holds an upstream's answers back until a test lets them go. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    /// A gate that is shut.
    #[must_use]
    pub fn shut() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Lets go what waits, and whatever comes.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    async fn opened(&self) {
        // The gate holds its own sender, so this ends only by being opened.
        self.0.subscribe().wait_for(|open| *open).await.ok();
    }
}

fn delta(token: &str) -> Value {
    chunk(&json!({"content": token}), &Value::Null)
}

fn finish(tokens: &[String]) -> Value {
    let mut last = chunk(&json!({}), &json!("stop"));
    last["usage"] = usage(tokens);
    last
}

fn chunk(delta: &Value, finish_reason: &Value) -> Value {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish_reason});
    json!({"id": "c", "object": "chat.completion.chunk", "model": "scripted", "choices": [choice]})
}

fn completion(tokens: &[String]) -> Value {
    let message = json!({"role": "assistant", "content": tokens.concat()});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    let usage = usage(tokens);
    json!({"id": "c", "object": "chat.completion", "model": "scripted", "choices": [choice], "usage": usage})
}

fn tool_calls(calls: &[(String, String)]) -> Value {
    let call = |(index, (name, arguments)): (usize, &(String, String))| {
        let function = json!({"name": name, "arguments": arguments});
        json!({"index": index, "id": format!("call {index}"), "type": "function", "function": function})
    };
    calls.iter().enumerate().map(call).collect()
}

fn usage(tokens: &[String]) -> Value {
    json!({"prompt_tokens": 1, "completion_tokens": tokens.len(), "total_tokens": 1 + tokens.len()})
}

//! HTTP by hand: what is sent is the test's, byte by byte.

use std::collections::VecDeque;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Duration, timeout};

/// Longer than any answer takes, though it may be on a clock that is only advanced when nothing else is left to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// One connection.
#[derive(Debug)]
pub(in crate::mcp) struct Client<S> {
    pub(in crate::mcp) io: S,
    read: Vec<u8>,
    events: VecDeque<Event>,
}

/// A whole answer.
#[derive(Debug)]
pub(in crate::mcp) struct Reply {
    pub(in crate::mcp) status: u16,
    head: String,
    pub(in crate::mcp) body: String,
}

/// One event of a stream.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::mcp) struct Event {
    pub(in crate::mcp) name: Option<String>,
    pub(in crate::mcp) id: Option<String>,
    pub(in crate::mcp) data: String,
}

impl Event {
    fn parse(text: &str) -> Self {
        let mut event = Self::default();
        for line in text.lines() {
            match line.split_once(": ").unwrap_or((line, "")) {
                ("event", name) => event.name = Some(name.to_owned()),
                ("id", id) => event.id = Some(id.to_owned()),
                ("data", data) => data.clone_into(&mut event.data),
                _ => {}
            }
        }
        event
    }

    pub(in crate::mcp) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_default()
    }

    pub(in crate::mcp) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("message")
    }
}

impl Reply {
    pub(in crate::mcp) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(in crate::mcp) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The body of a stream that has ended.
    pub(in crate::mcp) fn events(&self) -> Vec<Event> {
        self.body.split_terminator("\n\n").map(Event::parse).filter(|event| !event.data.is_empty()).collect()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(in crate::mcp) fn new(io: S) -> Self {
        Self { io, read: Vec::new(), events: VecDeque::new() }
    }

    pub(in crate::mcp) async fn send(&mut self, request: &str) {
        self.io.write_all(request.as_bytes()).await.unwrap();
    }

    /// Sends a request and reads its answer to the end.
    pub(in crate::mcp) async fn ask(&mut self, request: &str) -> Reply {
        self.send(request).await;
        timeout(PATIENCE, self.reply()).await.expect("an answer that ends")
    }

    async fn reply(&mut self) -> Reply {
        let mut reply = self.head().await;
        if reply.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk().await {
                reply.body.push_str(&chunk);
            }
        } else {
            let length = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
            while self.read.len() < length {
                assert!(self.fill().await, "the body was cut");
            }
            reply.body = String::from_utf8(self.read.drain(..length).collect()).unwrap();
        }
        reply
    }

    /// Reads an answer's head; its body is read by chunks, then.
    pub(in crate::mcp) async fn head(&mut self) -> Reply {
        let head = self.until(b"\r\n\r\n").await.expect("an answer");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply { status, head, body: String::new() }
    }

    /// `None`: that was the last one, or the connection ended.
    async fn chunk(&mut self) -> Option<String> {
        let length = usize::from_str_radix(self.until(b"\r\n").await?.trim(), 16).unwrap();
        while self.read.len() < length + 2 {
            if !self.fill().await {
                return None;
            }
        }
        let chunk = self.read.drain(..length + 2).take(length).collect();
        Some(String::from_utf8(chunk).unwrap()).filter(|chunk| !chunk.is_empty())
    }

    /// The next event. `None`: the stream has ended.
    pub(in crate::mcp) async fn event(&mut self) -> Option<Event> {
        while self.events.is_empty() {
            let chunk = self.chunk().await?;
            self.events.extend(chunk.split_terminator("\n\n").map(Event::parse));
        }
        self.events.pop_front()
    }

    /// The ids of the next `count` events.
    pub(in crate::mcp) async fn ids(&mut self, count: usize) -> Vec<Option<String>> {
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(self.event().await.unwrap().id);
        }
        ids
    }

    async fn until(&mut self, end: &[u8]) -> Option<String> {
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|window| window == end) {
                return String::from_utf8(self.read.drain(..at + end.len()).collect()).ok();
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// False: the connection has ended.
    pub(in crate::mcp) async fn fill(&mut self) -> bool {
        self.io.read_buf(&mut self.read).await.is_ok_and(|read| read > 0)
    }
}

/// A POST with more fields of the head, each on a line.
pub(in crate::mcp) fn post(head: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\n{head}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Begins a session.
pub(in crate::mcp) async fn initialize<S: AsyncRead + AsyncWrite + Unpin>(
    client: &mut Client<S>,
    head: &str,
) -> Reply {
    let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "0" },
    }});
    client.ask(&post(head, &body)).await
}

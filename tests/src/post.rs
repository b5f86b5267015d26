//! A client of the MCP listener that speaks HTTP by hand: what is sent is the test's, byte by byte.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::PATIENCE;

/// One connection to the listener, kept alive.
#[derive(Debug)]
pub struct McpClient {
    stream: BufReader<TcpStream>,
    /// Said in the head of each request: lines that end in CR LF.
    pub head: String,
}

/// A whole answer.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    head: String,
    body: String,
}

impl Reply {
    /// A field of its head.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The last message in its body, which is JSON or a stream of events.
    ///
    /// # Errors
    /// When there is none.
    pub fn message(&self) -> Result<Value> {
        let data = self.body.lines().rev().find_map(|line| line.strip_prefix("data: {").map(|_| &line[6..]));
        serde_json::from_str(data.unwrap_or(&self.body)).with_context(|| format!("no message in {self:?}"))
    }
}

impl McpClient {
    /// Connects. `head` is said with each request: lines that end in CR LF.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn connect(address: SocketAddr, head: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), head: head.to_owned() })
    }

    /// Begins a session of 2025-11-25 and says so in each request from then on.
    ///
    /// # Errors
    /// When there is no session to be had.
    pub async fn open_session(&mut self) -> Result<()> {
        let greeting = self.post(&initialize()).await?;
        let Some(session) = greeting.header("mcp-session-id") else { bail!("no session: {greeting:?}") };
        self.head.extend(["mcp-session-id: ", session, "\r\nmcp-protocol-version: 2025-11-25\r\n"]);
        self.post(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await?;
        Ok(())
    }

    /// Sends a message without waiting for its answer.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, body: &Value) -> Result<()> {
        let body = body.to_string();
        let request = format!(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\n{}content-length: {}\r\n\r\n{body}",
            self.head,
            body.len()
        );
        Ok(self.stream.write_all(request.as_bytes()).await?)
    }

    /// Asks for the session's standalone stream, and reads as much of it as shows that it is there.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn stand(&mut self) -> Result<()> {
        let get =
            format!("GET /mcp HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n{}\r\n", self.head);
        self.stream.write_all(get.as_bytes()).await?;
        let status = timeout(PATIENCE, self.status()).await.context("no stream")??;
        if status.0 == 200 { Ok(()) } else { bail!("the stream was refused: {status:?}") }
    }

    /// Sends a message and reads the whole answer.
    ///
    /// # Errors
    /// When there is none in time.
    pub async fn post(&mut self, body: &Value) -> Result<Reply> {
        self.send(body).await?;
        timeout(PATIENCE, self.reply()).await.context("no answer")?
    }

    /// Calls a tool; its result.
    ///
    /// # Errors
    /// When it is not called.
    pub async fn call(&mut self, tool: &str, arguments: &Value) -> Result<Value> {
        let params = json!({ "name": tool, "arguments": arguments });
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let mut message = self.post(&call).await?.message()?;
        Ok(message["result"].take())
    }

    async fn status(&mut self) -> Result<(u16, String)> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head).await? == 0 {
                bail!("the connection ended after {head:?}");
            }
        }
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        Ok((status, head))
    }

    async fn reply(&mut self) -> Result<Reply> {
        let (status, head) = self.status().await?;
        let mut reply = Reply { status, head, body: String::new() };
        let mut body = Vec::new();
        if reply.header("transfer-encoding") == Some("chunked") {
            while self.chunk(&mut body).await? {}
        } else {
            body.resize(reply.header("content-length").map_or(Ok(0), str::parse)?, 0);
            self.stream.read_exact(&mut body).await?;
        }
        reply.body = String::from_utf8(body)?;
        Ok(reply)
    }

    /// False: that was the last one.
    async fn chunk(&mut self, body: &mut Vec<u8>) -> Result<bool> {
        let mut length = String::new();
        self.stream.read_line(&mut length).await?;
        let length = usize::from_str_radix(length.trim(), 16)?;
        let mut chunk = vec![0; length + 2];
        self.stream.read_exact(&mut chunk).await?;
        body.extend_from_slice(&chunk[..length]);
        Ok(length > 0)
    }
}

/// What begins a session.
fn initialize() -> Value {
    json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "0" },
    }})
}

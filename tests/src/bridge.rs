//! An MCP client of the built daemon, by way of the built `inferd-cli mcp`.

use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;

use crate::{Home, PATIENCE};

/// A running bridge, and its client.
#[derive(Debug)]
pub struct Bridge {
    /// Its process.
    pub child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    asked: u64,
}

impl Bridge {
    /// Starts one whose client has said nothing yet; `key` is in its variable `KEY`.
    ///
    /// # Errors
    /// When the binary is not built.
    pub fn spawn(home: &Arc<Home>, arguments: &[&str], key: &str) -> Result<Self> {
        let mut command = home.command("inferd-cli")?;
        command.arg("mcp").args(arguments).env("KEY", key);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let output = BufReader::new(output.context("it has an output")?).lines();
        Ok(Self { child, input: input.context("it has an input")?, output, asked: 0 })
    }

    /// One whose client has begun a session.
    ///
    /// # Errors
    /// When there is no daemon that takes it.
    pub async fn open(home: &Arc<Home>) -> Result<Self> {
        let mut bridge = Self::spawn(home, &[], "")?;
        let hello = bridge.hello().await?;
        ensure!(hello["result"]["serverInfo"]["name"] == "inferd", "{hello}");
        bridge.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await?;
        Ok(bridge)
    }

    /// Introduces the client; the answer.
    ///
    /// # Errors
    /// As [`Bridge::answer`].
    pub async fn hello(&mut self) -> Result<Value> {
        let client = json!({ "name": "test", "version": "1" });
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
        self.request("initialize", params).await
    }

    /// Says `message`.
    ///
    /// # Errors
    /// When the bridge has ended.
    pub async fn say(&mut self, message: &Value) -> Result<()> {
        Ok(self.input.write_all(format!("{message}\n").as_bytes()).await?)
    }

    /// Asks, without waiting for the answer; the id of the request.
    ///
    /// # Errors
    /// When the bridge has ended.
    pub async fn ask(&mut self, method: &str, params: Value) -> Result<u64> {
        self.asked += 1;
        let id = self.asked;
        self.say(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await?;
        Ok(id)
    }

    /// The next message.
    ///
    /// # Errors
    /// When none comes.
    pub async fn hear(&mut self) -> Result<Value> {
        let line = timeout(PATIENCE, self.output.next_line()).await.context("nothing is said")??;
        Ok(serde_json::from_str(&line.context("the bridge ended")?)?)
    }

    /// The answer to the request of this id; what comes before it is not kept.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn answer(&mut self, id: u64) -> Result<Value> {
        loop {
            let message = self.hear().await?;
            if message["id"] == id {
                return Ok(message);
            }
        }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// As [`Bridge::answer`].
    pub async fn request(&mut self, method: &str, params: Value) -> Result<Value> {
        let id = self.ask(method, params).await?;
        self.answer(id).await
    }

    /// Calls a tool and asks for its progress, without waiting.
    ///
    /// # Errors
    /// When the bridge has ended.
    pub async fn begin(&mut self, tool: &str, arguments: Value) -> Result<u64> {
        let meta = json!({ "progressToken": "p" });
        self.ask("tools/call", json!({ "name": tool, "arguments": arguments, "_meta": meta })).await
    }

    /// Calls a tool; its result.
    ///
    /// # Errors
    /// When there is none.
    pub async fn call(&mut self, tool: &str, arguments: Value) -> Result<Value> {
        let mut answer = self.request("tools/call", json!({ "name": tool, "arguments": arguments })).await?;
        ensure!(answer["error"].is_null(), "{tool}: {answer}");
        Ok(answer["result"].take())
    }
}

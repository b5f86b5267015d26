//! Programs that ask: one request after another, many at once, or not to the end.
//!
//! Invariant: what comes back for a request is written down and judged by nobody here, but that each frame belongs to a
//! request of this connection, and that none comes after its terminal one.

use std::collections::HashMap;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use inferd_tests::{Daemon, LineClient};
use serde_json::{Value, json};

use super::plan::Ask;

/// What one caller got.
#[derive(Debug, Clone)]
pub(super) struct Transcript {
    pub(super) ask: Ask,
    /// Just before the request was sent.
    pub(super) asked: SystemTime,
    /// The frames before the terminal one.
    pub(super) frames: Vec<Value>,
    /// The terminal frame; none where the caller left.
    pub(super) terminal: Option<Value>,
}

impl Transcript {
    /// The text of its tokens.
    pub(super) fn streamed(&self) -> String {
        let tokens = self.frames.iter().filter(|frame| frame["type"] == "token");
        tokens.filter_map(|frame| frame["content"].as_str()).collect()
    }
}

struct Caller {
    client: LineClient,
    open: HashMap<String, Transcript>,
}

/// Asks on one connection, at most `depth` requests at a time, and stays to the end of each.
pub(super) async fn stays(daemon: &Daemon, asks: Vec<Ask>, depth: usize) -> Result<Vec<Transcript>> {
    let mut caller = Caller::connect(daemon).await?;
    let mut asks = asks.into_iter();
    let mut answered = Vec::new();
    loop {
        while caller.open.len() < depth
            && let Some(ask) = asks.next()
        {
            caller.ask(ask).await?;
        }
        if caller.open.is_empty() {
            break;
        }
        answered.extend(caller.frame().await?);
    }
    caller.client.finish_sending().await?;
    let more = caller.client.rest().await?;
    ensure!(more.is_empty(), "all was answered, and then there came {more:?}");
    Ok(answered)
}

/// Connects once for each of `turns`: asks for all of it at once, and leaves after so many frames.
pub(super) async fn comes_and_goes(
    daemon: &Daemon,
    turns: Vec<(Vec<Ask>, usize)>,
) -> Result<Vec<Transcript>> {
    let mut transcripts = Vec::new();
    for (asks, frames) in turns {
        let mut caller = Caller::connect(daemon).await?;
        for ask in asks {
            caller.ask(ask).await?;
        }
        for _ in 0..frames {
            if caller.open.is_empty() {
                break;
            }
            transcripts.extend(caller.frame().await?);
        }
        transcripts.extend(caller.open.into_values());
    }
    Ok(transcripts)
}

impl Caller {
    async fn connect(daemon: &Daemon) -> Result<Self> {
        Ok(Self { client: daemon.connect().await?, open: HashMap::new() })
    }

    async fn ask(&mut self, ask: Ask) -> Result<()> {
        let (id, line, cancelled) = (ask.id(), ask.line(), ask.cancel_after == Some(0));
        let transcript = Transcript { ask, asked: SystemTime::now(), frames: Vec::new(), terminal: None };
        self.open.insert(id.clone(), transcript);
        self.client.send(&line).await?;
        if cancelled {
            self.cancel(&id).await?;
        }
        Ok(())
    }

    async fn cancel(&mut self, id: &str) -> Result<()> {
        self.client.send(&json!({"type": "cancel", "id": id})).await
    }

    /// Reads a frame; the transcript of its request, if it was the terminal one.
    async fn frame(&mut self) -> Result<Option<Transcript>> {
        let frame =
            self.client.frame().await.with_context(|| format!("while {:?} are open", self.open.keys()))?;
        let id = frame["id"].as_str().unwrap_or_default().to_owned();
        let transcript = self.open.get_mut(&id).with_context(|| format!("nobody waits for {frame}"))?;
        if matches!(frame["type"].as_str(), Some("done" | "error")) {
            transcript.terminal = Some(frame);
            return Ok(self.open.remove(&id));
        }
        transcript.frames.push(frame);
        if transcript.ask.cancel_after == Some(transcript.frames.len()) {
            self.cancel(&id).await?;
        }
        Ok(None)
    }
}

//! Ten thousand lines of which most are damaged: each gets its one answer, and the daemon is as before.

use anyhow::Result;
use inferd_tests::{Daemon, request};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const CONNECTIONS: u64 = 4;
const LINES: usize = 2500;

const MOCK: &str = r#"
[admission]
client = "connection"
[[backends]]
name = "m"
kind = "mock"
tokens = ["a", "ü"]
"#;

/// Numbers that are the same in every run (Marsaglia's xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("less than a usize")
    }
}

/// A valid line of each kind. Those after the first `ANSWERED` need not be answered.
fn lines() -> Vec<Value> {
    let image = json!({"type": "image", "mime": "image/png", "data": "iVBORw0KGgo="});
    let tool = json!({"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}});
    vec![
        json!({"id": "plain", "messages": [{"role": "user", "content": "hello"}]}),
        json!({"type": "request", "id": "all", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "ü\u{1f600}\\\""}],
               "temperature": 0.5, "top_p": 0.9, "top_k": 40, "max_tokens": 5, "stream": false, "image_token_budget": 280,
               "model": "m", "stop": ["x"], "seed": -3, "priority": "batch", "max_wait_ms": 60000, "deadline_ms": 60000, "progress": true}),
        json!({"id": "blocks", "messages": [{"role": "user", "content": [{"type": "text", "text": "what is this?"}, image]}]}),
        json!({"id": "tools", "tools": [tool], "tool_choice": "auto", "messages": [{"role": "user", "content": "call"},
               {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
               {"role": "tool", "tool_call_id": "1", "content": "done"}]}),
        json!({"id": "shape", "response_format": {"type": "json_schema", "schema": {"type": "object"}}, "messages": [{"role": "user", "content": "j"}]}),
        json!({"type": "embed", "id": "embed", "input": ["one", "two"]}),
        json!({"type": "hello"}),
        json!({"type": "cancel", "id": "plain"}),
        json!({"type": "auth", "key": "none is needed"}),
    ]
}

/// How many of them are answered by exactly one frame beside tokens and statuses.
const ANSWERED: usize = 7;

/// Damages a line in one to three places.
fn mutate(dice: &mut Dice, line: &mut Vec<u8>) {
    for _ in 0..=dice.below(3) {
        let at = dice.below(line.len().max(1));
        match dice.below(6) {
            0 if !line.is_empty() => line[at] ^= 1 << dice.below(8),
            1 => line.truncate(at),
            2 => line.insert(at, u8::try_from(dice.below(256)).expect("less than 256")),
            3 if !line.is_empty() => drop(line.remove(at)),
            4 => {
                let part = line[at..line.len().min(at + 1 + dice.below(40))].to_vec();
                let to = dice.below(line.len() + 1);
                line.splice(to..to, part);
            }
            _ => {
                let token: &[u8] =
                    [&b"\""[..], b"{", b"}", b"[", b"null", b"-1", b"1e999", b"\\u0000", b"\xff"]
                        [dice.below(9)];
                line.splice(at..at, token.iter().copied());
            }
        }
    }
}

/// Lines as the daemon counts them: empty ones are skipped.
fn count(bytes: &[u8]) -> usize {
    let lines = bytes.split(|byte| *byte == b'\n');
    lines.filter(|line| !line.strip_suffix(b"\r").unwrap_or(line).is_empty()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_mutated_lines_do_no_harm() -> Result<()> {
    let daemon = Daemon::start(MOCK).await?;
    let mut connections = JoinSet::new();
    for seed in 1..=CONNECTIONS {
        let client = daemon.connect().await?;
        connections.spawn(async move {
            let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let kinds = lines();
            // One connection in two sees every kind; on the others each line must have its answer.
            let all_answered = seed % 2 == 0;
            let kinds = if all_answered { &kinds[..ANSWERED] } else { &kinds[..] };
            let mut bytes = Vec::new();
            for _ in 0..LINES {
                let mut line = kinds[dice.below(kinds.len())].to_string().into_bytes();
                if dice.below(10) > 0 {
                    mutate(&mut dice, &mut line);
                }
                bytes.extend_from_slice(&line);
                bytes.push(b'\n');
            }
            let expected = count(&bytes);
            let (sent, frames) = client.send_while_reading(&bytes).await?;
            anyhow::ensure!(sent == bytes.len(), "it stopped reading after {sent} of {} bytes", bytes.len());
            let ends = |frame: &&Value| matches!(frame["type"].as_str(), Some("done" | "error" | "hello"));
            let answered = frames.iter().filter(ends).count();
            Ok((all_answered, expected, answered))
        });
    }
    while let Some(ended) = connections.join_next().await {
        let (all_answered, expected, answered) = ended??;
        println!("{answered} answers to {expected} lines");
        assert!(
            if all_answered { answered == expected } else { answered <= expected },
            "{answered} of {expected}"
        );
        assert!(answered > LINES / 2);
    }
    let mut client = daemon.connect().await?;
    assert_eq!(client.terminal(&request("sound")).await?["content"], "aü");
    drop(client);
    let now = daemon.until(|now| now["running"] == 0 && now["waiting"] == 0 && now["clients"] == 0).await?;
    assert_eq!(now["lanes"][0]["running"], 0);
    assert_eq!(daemon.stop().await?.code(), Some(0));
    Ok(())
}

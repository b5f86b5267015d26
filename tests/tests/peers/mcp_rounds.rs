//! A client of 2026-07-28, made of the Python SDK, that lends its model through the built daemon.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use inferd_tests::{Daemon, LineClient, free_address};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::mcp_python;

/// How long a lender may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

async fn daemon() -> Result<(Daemon, SocketAddr)> {
    let listen = free_address()?;
    let lent = "[[backends]]\nname = \"lent\"\nkind = \"sampling\"\n";
    Ok((Daemon::start(&format!("[mcp]\nlisten = \"{listen}\"\n{lent}")).await?, listen))
}

/// A client that lends its model until it is let go.
struct Lender {
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Lender {
    /// One whose model takes so long.
    async fn start(listen: SocketAddr, seconds: &str) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/mcp_rounds.py");
        let mut command = Command::new(mcp_python(2)?);
        command.arg("-B").arg(script).arg(format!("http://{listen}/mcp")).arg(seconds);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let mut says = BufReader::new(child.stdout.take().context("its output is a pipe")?);
        let mut line = String::new();
        timeout(PATIENCE, says.read_line(&mut line)).await.context("the lender does not begin")??;
        ensure!(line == "lending\n", "the lender said {line:?}");
        Ok(Self { child, says })
    }

    /// What it was asked, and what the tool said to it.
    async fn end(mut self) -> Result<Value> {
        drop(self.child.stdin.take());
        let mut line = String::new();
        timeout(PATIENCE, self.says.read_to_string(&mut line)).await.context("the lender does not end")??;
        serde_json::from_str(&line).with_context(|| format!("the lender said {line:?}"))
    }
}

fn request(id: &str) -> Value {
    json!({ "id": id, "messages": [{ "role": "user", "content": id }] })
}

/// The texts of `count` answers, by the ids of their requests.
async fn answers(client: &mut LineClient, count: usize) -> Result<Vec<(String, String)>> {
    let mut answers = Vec::new();
    while answers.len() < count {
        let frame = client.frame().await?;
        match frame["type"].as_str() {
            Some("done") => {
                let said = |field: &str| frame[field].as_str().unwrap_or_default().to_owned();
                answers.push((said("id"), said("content")));
            }
            Some("error") => anyhow::bail!("{frame}"),
            _ => {}
        }
    }
    answers.sort();
    Ok(answers)
}

#[tokio::test]
async fn ten_requests_of_one_program_are_one_round_and_each_gets_its_own_answer() -> Result<()> {
    let (daemon, listen) = daemon().await?;
    let lender = Lender::start(listen, "0.5").await?;
    daemon.until(|now| now["lenders"] == 1).await?;
    let mut client = daemon.connect().await?;
    let ids: Vec<String> = (0..10).map(|n| format!("q{n}")).collect();
    for id in &ids {
        client.send(&request(id)).await?;
    }
    let expected: Vec<_> = ids.iter().map(|id| (id.clone(), format!("re {id}"))).collect();
    assert_eq!(answers(&mut client, 10).await?, expected);
    // More rounds than the SDK goes through in one call.
    for n in 0..12 {
        let id = format!("alone {n}");
        client.send(&request(&id)).await?;
        assert_eq!(answers(&mut client, 1).await?, [(id.clone(), format!("re {id}"))]);
    }
    let seen = lender.end().await?;
    assert_eq!(seen["rounds"].as_array().map(Vec::len), Some(13), "{seen}");
    assert_eq!(seen["rounds"][0], json!(ids));
    daemon.until(|now| now["lenders"] == 0).await?;
    Ok(())
}

#[tokio::test]
async fn a_lender_that_goes_in_the_middle_of_a_round_has_it_served_by_the_next() -> Result<()> {
    let (daemon, listen) = daemon().await?;
    let gone = Lender::start(listen, "3600").await?;
    daemon.until(|now| now["lenders"] == 1).await?;
    let mut client = daemon.connect().await?;
    client.send(&request("hello")).await?;
    let next = Lender::start(listen, "0.1").await?;
    daemon.until(|now| now["lenders"] == 2).await?;
    let mut gone = gone.child;
    gone.kill().await?;
    // With no stream of its open nobody knows that it has gone, until its time for the round is over.
    ensure!(client.frame().await.is_err(), "it was answered before");
    assert_eq!(answers(&mut client, 1).await?, [("hello".to_owned(), "re hello".to_owned())]);
    assert_eq!(next.end().await?["rounds"], json!([["hello"]]));
    Ok(())
}

//! Programs on the local socket are answered by MCP clients that lend their models: the Python SDK, both majors, both
//! ways.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use inferd_tests::{Daemon, LineClient, PATIENCE, free_address, request};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, timeout};

use crate::mcp_python;

/// How long the model of a client takes.
const MODEL: Duration = Duration::from_millis(500);

/// What a lone request may take beyond that: 20 ms for company, and the way there and back on a busy machine.
const SLACK: Duration = Duration::from_millis(150);

/// The ways in which a client lends its model.
const WAYS: [(u32, &str); 4] = [(1, "standing"), (2, "standing"), (1, "own"), (2, "all")];

/// A daemon that has nothing to answer with but what is lent to it.
async fn daemon() -> Result<(Daemon, String)> {
    let listen = free_address()?;
    let config =
        format!("[mcp]\nlisten = \"{listen}\"\n[[backends]]\nname = \"lent\"\nkind = \"sampling\"\n");
    Ok((Daemon::start(&config).await?, format!("http://{listen}/mcp")))
}

/// A client that lends its model. Dropped, it is killed.
struct Lender {
    child: Child,
    /// Closed, the client takes its leave.
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Lender {
    async fn start(url: &str, major: u32, name: &str, delay: Option<Duration>, way: &str) -> Result<Self> {
        let delay_s = delay.map_or("-1".to_owned(), |delay| delay.as_secs_f64().to_string());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/mcp_lender.py");
        let mut child = Command::new(mcp_python(major)?)
            .arg("-B")
            .arg(script)
            .args([url, name, &delay_s, way])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().context("it was asked for")?;
        let output = BufReader::new(child.stdout.take().context("it was asked for")?).lines();
        let mut lender = Self { child, input, output };
        ensure!(lender.line().await? == "ready");
        Ok(lender)
    }

    async fn line(&mut self) -> Result<String> {
        let line = timeout(PATIENCE, self.output.next_line()).await.context("the client says nothing")??;
        line.context("the client has ended")
    }

    /// What the next request to it is about.
    async fn asked(&mut self) -> Result<Value> {
        Ok(serde_json::from_str(&self.line().await?)?)
    }

    async fn leave(mut self) -> Result<()> {
        drop(self.input);
        timeout(PATIENCE, self.child.wait()).await.context("the client does not leave")??;
        Ok(())
    }
}

async fn until_lenders(daemon: &Daemon, count: usize) -> Result<()> {
    daemon.until(|now| now["lenders"] == count).await?;
    Ok(())
}

/// The answer to `text`, and how long it took.
async fn ask(client: &mut LineClient, text: &str) -> Result<(String, Duration)> {
    let before = Instant::now();
    let done = client.terminal(&request(text)).await.with_context(|| format!("{text} has no answer"))?;
    let took = before.elapsed();
    ensure!(done["type"] == "done", "{done}");
    Ok((done["content"].as_str().context("an answer has content")?.to_owned(), took))
}

/// The answers to ten requests of one program, each on a connection of its own.
async fn ten_at_once(daemon: &Daemon) -> Result<Vec<String>> {
    let requests =
        (0..10).map(async |n| Ok(ask(&mut daemon.connect().await?, &format!("call {n}")).await?.0));
    try_join_all(requests).await
}

#[tokio::test]
async fn ten_requests_of_one_program_cost_two_approvals_and_a_lone_one_waits_for_nobody() -> Result<()> {
    for (major, way) in WAYS {
        let (daemon, url) = daemon().await?;
        let mut lender = Lender::start(&url, major, "it", Some(MODEL), way).await?;
        until_lenders(&daemon, 1).await?;

        let mut client = daemon.connect().await?;
        let mut lone = Duration::MAX;
        for n in 0..3 {
            let (answer, took) = ask(&mut client, &format!("lone {n}")).await?;
            assert_eq!(answer, format!("it: lone {n}"), "SDK {major}, {way}");
            assert_eq!(lender.asked().await?, json!({ "tasks": [format!("lone {n}")] }));
            lone = lone.min(took);
        }
        assert!(lone < MODEL + SLACK, "{lone:?}");

        for (n, answer) in ten_at_once(&daemon).await?.into_iter().enumerate() {
            assert_eq!(answer, format!("it: call {n}"), "SDK {major}, {way}");
        }
        let mut tasks = 0;
        let mut approvals = 0;
        while tasks < 10 {
            tasks += lender.asked().await?["tasks"].as_array().context("a list")?.len();
            approvals += 1;
        }
        assert!(approvals <= 2, "SDK {major}, {way}: {approvals} approvals");
        lender.leave().await?;
        until_lenders(&daemon, 0).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_peer_that_never_answers_delays_nobody_else_and_a_leavers_calls_go_to_the_next() -> Result<()> {
    for (major, way) in WAYS {
        let (daemon, url) = daemon().await?;
        let mut stuck = Lender::start(&url, major, "stuck", None, way).await?;
        until_lenders(&daemon, 1).await?;
        let mut first = daemon.connect().await?;
        first.send(&request("one")).await?;
        assert_eq!(stuck.asked().await?, json!({ "tasks": ["one"] }));

        let mut good = Lender::start(&url, major, "good", Some(Duration::ZERO), way).await?;
        until_lenders(&daemon, 2).await?;
        for n in 0..6 {
            let text = format!("other {n}");
            let (answer, took) = ask(&mut daemon.connect().await?, &text).await?;
            assert_eq!(answer, format!("good: {text}"), "SDK {major}, {way}");
            assert!(took < MODEL, "SDK {major}, {way}: {took:?}");
            good.asked().await?;
        }

        stuck.leave().await?;
        let answer = first.answer().await.with_context(|| format!("SDK {major}, {way}: {}", daemon.log()))?;
        let done = answer.into_iter().next_back().context("an answer has a last frame")?;
        assert_eq!(done["content"], "good: one", "SDK {major}, {way}: {done}");
        good.leave().await?;
        let error = daemon.connect().await?.terminal(&request("nobody is there")).await?;
        assert_eq!(error["code"], "backend_unavailable", "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_is_killed_is_left_too_and_one_that_is_no_longer_waited_for_is_told() -> Result<()> {
    for (major, way) in WAYS {
        let (daemon, url) = daemon().await?;
        let mut lender = Lender::start(&url, major, "it", None, way).await?;
        until_lenders(&daemon, 1).await?;
        let mut leaver = daemon.connect().await?;
        leaver.send(&request("mine")).await?;
        assert_eq!(lender.asked().await?, json!({ "tasks": ["mine"] }));
        drop(leaver);
        if major == 2 {
            // The first major ignores that it is told so.
            assert_eq!(lender.asked().await?, json!({ "cancelled": ["mine"] }), "{way}");
        }
        lender.child.kill().await?;
        until_lenders(&daemon, 0).await?;
    }
    Ok(())
}

#[tokio::test]
async fn each_logical_call_leaves_a_row_however_many_are_asked_for_at_once() -> Result<()> {
    let (daemon, url) = daemon().await?;
    let lender = Lender::start(&url, 2, "it", Some(Duration::ZERO), "all").await?;
    until_lenders(&daemon, 1).await?;
    ten_at_once(&daemon).await?;
    lender.leave().await?;
    // Rows are written behind, and all of them before the end.
    let home = std::sync::Arc::clone(daemon.home());
    daemon.stop().await?;
    let log = home.run("inferd-cli", &["log", "--json"]).await?;
    let rows = String::from_utf8(log.stdout)?;
    let served = rows.lines().filter(|row| row.contains("\"lent\"") && row.contains("\"served\""));
    assert_eq!(served.count(), 10, "{rows}");
    Ok(())
}

#[tokio::test]
async fn a_client_lends_again_after_the_daemon_was_started_anew() -> Result<()> {
    for major in [1, 2] {
        let (daemon, url) = daemon().await?;
        let mut lender = Lender::start(&url, major, "it", Some(Duration::ZERO), "standing").await?;
        until_lenders(&daemon, 1).await?;
        let home = std::sync::Arc::clone(daemon.home());
        daemon.stop().await?;
        let daemon = Daemon::start_in(&home).await?;
        until_lenders(&daemon, 1).await?;
        let (answer, _) = ask(&mut daemon.connect().await?, "again").await?;
        assert_eq!(answer, "it: again", "SDK {major}");
        lender.asked().await?;
        lender.leave().await?;
    }
    Ok(())
}

#[tokio::test]
async fn where_nothing_is_configured_whoever_lends_answers_before_the_mock_and_only_while_it_does()
-> Result<()> {
    let listen = free_address()?;
    let daemon = Daemon::start(&format!("[mcp]\nlisten = \"{listen}\"\n")).await?;
    let nobody = ask(&mut daemon.connect().await?, "hi").await?.0;
    let lender =
        Lender::start(&format!("http://{listen}/mcp"), 2, "it", Some(Duration::ZERO), "standing").await?;
    until_lenders(&daemon, 1).await?;
    daemon.until(|now| now["lanes"].as_array().is_some_and(|lanes| lanes.len() == 2)).await?;
    assert_eq!(ask(&mut daemon.connect().await?, "hi").await?.0, "it: hi");
    lender.leave().await?;
    daemon.until(|now| now["lanes"].as_array().is_some_and(|lanes| lanes.len() == 1)).await?;
    assert_eq!(ask(&mut daemon.connect().await?, "hi").await?.0, nobody);
    Ok(())
}

#[tokio::test]
async fn without_standalone_a_client_lends_by_its_call_alone() -> Result<()> {
    let listen = free_address()?;
    let config = format!(
        "[mcp]\nlisten = \"{listen}\"\nstandalone = false\n[[backends]]\nname = \"lent\"\nkind = \"sampling\"\n"
    );
    let (daemon, url) = (Daemon::start(&config).await?, format!("http://{listen}/mcp"));
    let standing = Lender::start(&url, 2, "standing", Some(Duration::ZERO), "standing").await?;
    let _calling = Lender::start(&url, 2, "calling", Some(Duration::ZERO), "own").await?;
    until_lenders(&daemon, 1).await?;
    assert_eq!(ask(&mut daemon.connect().await?, "hi").await?.0, "calling: hi");
    daemon.home().configure(&config.replace("standalone = false", "standalone = true"))?;
    daemon.reload().await?;
    until_lenders(&daemon, 2).await?;
    standing.leave().await
}

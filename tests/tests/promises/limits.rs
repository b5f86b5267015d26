//! Every limit is kept, says so where it can, and what passed it harms nobody else.

use std::time::Duration;

use anyhow::{Context, Result};
use inferd_tests::{Answer, Daemon, Gate, LineClient, Upstream, free_address, request};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{code, report, text};

const MOCK: &str = "\n[[backends]]\nname = \"m\"\nkind = \"mock\"\ntokens = [\"a\"]\n";

/// A request whose line has exactly this many bytes.
fn line_of(bytes: usize) -> Vec<u8> {
    let empty = json!({"messages": [{"role": "user", "content": ""}]}).to_string();
    let content = "x".repeat(bytes - empty.len());
    json!({"messages": [{"role": "user", "content": content}]}).to_string().into_bytes()
}

async fn refused_and_closed(client: &mut LineClient) -> Result<()> {
    let error = client.frame().await?;
    assert_eq!((code(&error)?, text(&error, "id")?), ("frame_too_large", ""));
    client.closed().await
}

#[tokio::test]
async fn a_frame_past_the_limit_is_refused_and_its_connection_closed() -> Result<()> {
    let tcp = free_address()?;
    let listen = format!("limits.frame_bytes_max = 2048\nlisten.tcp = \"{tcp}\"\n");
    let daemon = Daemon::start(&(listen + MOCK)).await?;
    let mut other = daemon.connect().await?;
    for tcp in [false, true] {
        let connect = async || if tcp { daemon.connect_tcp().await } else { daemon.connect().await };
        let mut client = connect().await?;
        client.send_bytes(&[&line_of(2048)[..], b"\n"].concat()).await?;
        assert_eq!(client.frame_of("done").await?["content"], "a", "exactly at the limit");

        client.send_bytes(&[&line_of(2049)[..], b"\n"].concat()).await?;
        refused_and_closed(&mut client).await?;

        let mut endless = connect().await?;
        endless.send_bytes(&[b'x'; 2049]).await?;
        refused_and_closed(&mut endless).await?;

        let mut running = connect().await?;
        running.send_bytes(&[&line_of(1000)[..], b"\n", &line_of(9000)[..], b"\n"].concat()).await?;
        assert_eq!(running.frame_of("error").await?["code"], "frame_too_large");
    }
    assert_eq!(other.terminal(&request("x")).await?["content"], "a", "others do not notice");
    Ok(())
}

/// The most memory a process ever held, in KiB.
#[cfg(target_os = "linux")]
fn high_water(daemon: &Daemon) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid()?))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("no VmHWM")?;
    Ok(line.split_whitespace().nth(1).context("no number")?.parse()?)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_endless_line_costs_no_more_memory_than_the_limit() -> Result<()> {
    const LIMIT_KIB: u64 = 64 * 1024;
    let daemon = Daemon::start(MOCK).await?;
    let mut client = daemon.connect().await?;
    client.terminal(&request("warm")).await?;
    let before = high_water(&daemon)?;
    let piece = vec![b'x'; 1 << 20];
    let mut sent = 0;
    // The daemon goes on reading for a moment, so that its refusal is not lost, but it keeps nothing.
    while sent < 80 && client.send_bytes(&piece).await.is_ok() {
        sent += 1;
    }
    assert!(sent >= 64, "refused after {sent} MiB");
    refused_and_closed(&mut client).await?;
    let grown = high_water(&daemon)? - before;
    println!("an endless line cost {grown} KiB");
    assert!(grown < LIMIT_KIB + 2048, "{grown} KiB");
    let mut next = daemon.connect().await?;
    assert_eq!(next.terminal(&request("next")).await?["content"], "a");
    Ok(())
}

#[tokio::test]
async fn more_requests_than_may_be_open_on_one_connection_are_refused_one_by_one() -> Result<()> {
    let gate = Gate::shut();
    let upstream = Upstream::always(Answer::held(&["a"], &gate, &[])).await?;
    let limits = "limits.open_requests_max = 3\nadmission.active = 8\n";
    let daemon = Daemon::start(&format!("{limits}{}", upstream.backend("m"))).await?;
    let mut client = daemon.connect().await?;
    for id in ["1", "2", "3", "4", "5"] {
        client.send(&request(id)).await?;
    }
    for id in ["4", "5"] {
        let refused = client.frame_of("error").await?;
        assert_eq!((code(&refused)?, text(&refused, "id")?), ("queue_full", id));
    }
    let mut other = daemon.connect().await?;
    other.send(&request("other")).await?;
    assert_eq!(other.frame_of("token").await?["content"], "a", "another connection has its own");
    gate.open();
    for _ in 0..3 {
        client.frame_of("done").await?;
    }
    assert_eq!(client.terminal(&request("6")).await?["content"], "a");
    Ok(())
}

/// Sends a request and says whether it is being answered by the time that `others` were.
async fn waits_while(client: &mut LineClient, others: &mut LineClient) -> Result<()> {
    client.send(&request("patient")).await?;
    for n in 0..50 {
        others.terminal(&request(&n.to_string())).await?;
    }
    let early = tokio::time::timeout(Duration::from_millis(20), client.frame()).await;
    anyhow::ensure!(early.is_err(), "it was served past the limit: {early:?}");
    Ok(())
}

#[tokio::test]
async fn past_the_limit_of_connections_a_newcomer_waits_for_one_to_close() -> Result<()> {
    let daemon = Daemon::start(&format!("limits.connections_max = 4\n{MOCK}")).await?;
    daemon.until(|now| now["clients"] == 0).await?;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = daemon.connect().await?;
        client.terminal(&request("x")).await?;
        clients.push(client);
    }
    let mut newcomer = daemon.connect().await?;
    waits_while(&mut newcomer, &mut clients[0]).await?;
    clients.pop();
    assert_eq!(newcomer.answer().await?.pop().unwrap_or_default()["content"], "a");
    Ok(())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn without_a_file_descriptor_left_it_serves_who_is_there_and_then_whoever_comes() -> Result<()> {
    use rustix::process::{Resource, Rlimit, prlimit};

    let daemon = Daemon::start(MOCK).await?;
    let mut here = daemon.connect().await?;
    here.terminal(&request("x")).await?;
    let open = std::fs::read_dir(format!("/proc/{}/fd", daemon.pid()?))?.count() as u64;
    let tight = Rlimit { current: Some(open + 4), maximum: Some(4096) };
    prlimit(Some(daemon.process()?), Resource::Nofile, tight)?;

    let mut crowd = Vec::new();
    for _ in 0..32 {
        crowd.push(daemon.connect().await?);
    }
    let begun = Instant::now();
    while !daemon.log().contains("cannot accept a connection") {
        anyhow::ensure!(begun.elapsed() < inferd_tests::PATIENCE, "descriptors never ran out");
        assert_eq!(here.terminal(&request("y")).await?["content"], "a");
    }
    let mut newcomer = daemon.connect().await?;
    waits_while(&mut newcomer, &mut here).await?;
    drop(crowd);
    let freed = Instant::now();
    assert_eq!(newcomer.answer().await?.pop().unwrap_or_default()["content"], "a");
    report("served after descriptors were free again", &[freed.elapsed()]);
    Ok(())
}

async fn open_for(client: &mut LineClient, since: Instant) -> Result<Duration> {
    client.closed().await?;
    Ok(since.elapsed())
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_one_with_a_request_open_is_not() -> Result<()> {
    let gate = Gate::shut();
    let upstream = Upstream::always(Answer::held(&["a"], &gate, &[])).await?;
    let daemon = Daemon::start(&format!("limits.idle_timeout_s = 0.5\n{}", upstream.backend("m"))).await?;
    let begun = Instant::now();
    let (mut idle, mut busy) = (daemon.connect().await?, daemon.connect().await?);
    busy.send(&request("open")).await?;
    let open = open_for(&mut idle, begun).await?;
    report("an idle connection with 500 ms was kept", &[open]);
    assert!((Duration::from_millis(450)..Duration::from_millis(1500)).contains(&open), "{open:?}");
    busy.frame_of("token").await?;
    assert!(
        tokio::time::timeout(Duration::from_millis(600), busy.closed()).await.is_err(),
        "a busy one is closed"
    );
    gate.open();
    assert_eq!(busy.frame_of("done").await?["content"], "a");
    Ok(())
}

#[tokio::test]
async fn a_connection_is_idle_from_the_end_of_its_last_answer() -> Result<()> {
    let gate = Gate::shut();
    let upstream = Upstream::always(Answer::held(&["a"], &gate, &[])).await?;
    let daemon = Daemon::start(&format!("limits.idle_timeout_s = 1\n{}", upstream.backend("m"))).await?;
    let mut client = daemon.connect().await?;
    client.send(&request("long")).await?;
    client.frame_of("token").await?;
    tokio::time::sleep(Duration::from_millis(700)).await;
    gate.open();
    client.frame_of("done").await?;
    let kept = open_for(&mut client, Instant::now()).await?;
    assert!(kept > Duration::from_millis(900), "closed {kept:?} after its answer");
    Ok(())
}

#[tokio::test]
async fn a_wait_or_a_deadline_that_a_request_sets_itself_is_kept() -> Result<()> {
    let upstream = Upstream::always(Answer::Silence).await?;
    let daemon = Daemon::start(&format!("admission.active = 1\n{}", upstream.backend("m"))).await?;
    let mut client = daemon.connect().await?;
    let limited = |id: &str, limit: &str| -> Value {
        let mut asked = request(id);
        asked[limit] = json!(150);
        asked
    };
    let begun = Instant::now();
    let late = client.terminal(&limited("running", "deadline_ms")).await?;
    report("a deadline of 150 ms was kept after", &[begun.elapsed()]);
    assert_eq!((code(&late)?, text(&late, "id")?), ("deadline_exceeded", "running"));
    assert!((Duration::from_millis(150)..Duration::from_secs(2)).contains(&begun.elapsed()));
    upstream.until(|seen| seen.abandoned.len() == 1).await?;

    client.send(&request("unhurried")).await?;
    upstream.until(|seen| seen.open == 1).await?;
    let late = client.terminal(&limited("waiting", "max_wait_ms")).await?;
    assert_eq!((code(&late)?, text(&late, "id")?), ("deadline_exceeded", "waiting"));
    let now = daemon.snapshot().await?;
    assert_eq!((&now["running"], &now["waiting"]), (&json!(1), &json!(0)));
    assert_eq!(upstream.seen().requests.len(), 2, "who gave up waiting is never run");
    Ok(())
}

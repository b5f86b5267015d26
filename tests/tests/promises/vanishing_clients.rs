//! A caller that is gone stops costing anything; one that only stopped sending is served.

use std::time::Duration;

use anyhow::Result;
use inferd_tests::{Answer, Daemon, Gate, LineClient, Upstream, free_address, request};
use tokio::time::Instant;

use crate::{report, text};

/// Clients of each kind that vanish, one after another.
const ROUNDS: usize = 5;

/// How soon the upstream connection closes after its caller is gone: what is promised, and what a busy machine may add.
const AT_ONCE: Duration = Duration::from_millis(50);
const BUSY: Duration = Duration::from_millis(450);

/// How soon a caller on TCP that sends no reset is found to be gone.
const ON_TCP: Duration = Duration::from_secs(2);

async fn one_at_a_time(upstream: &Upstream) -> Result<Daemon> {
    let tcp = free_address()?;
    let limits = format!("[listen]\ntcp = \"{tcp}\"\n[admission]\nactive = 1\nclient = \"connection\"\n");
    Daemon::start(&format!("{limits}{}", upstream.backend("m"))).await
}

/// Drops each client once its request is where it is to be, and says how long each upstream connection outlived it.
async fn abandon(
    daemon: &Daemon,
    upstream: &Upstream,
    tcp: bool,
    rounds: usize,
    until_its_first_token: bool,
) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    for round in 0..rounds {
        let mut client = if tcp { daemon.connect_tcp().await? } else { daemon.connect().await? };
        client.send(&request("vanishing")).await?;
        upstream.until(|seen| seen.open == 1).await?;
        if until_its_first_token {
            client.frame_of("token").await?;
        }
        let left = Instant::now();
        drop(client);
        let seen = upstream.until(|seen| seen.abandoned.len() > round).await?;
        took.push(seen.abandoned[round].saturating_duration_since(left));
        daemon.quiet().await?;
    }
    Ok(took)
}

fn assert_at_once(what: &str, took: &[Duration]) {
    report(what, took);
    assert!(took.iter().min() < Some(&AT_ONCE), "{what}: {took:?}");
    assert!(took.iter().all(|took| *took < AT_ONCE + BUSY), "{what}: {took:?}");
}

#[tokio::test]
async fn a_local_client_that_vanishes_before_the_first_token_closes_the_upstream_connection_at_once()
-> Result<()> {
    let upstream = Upstream::always(Answer::Silence).await?;
    let daemon = one_at_a_time(&upstream).await?;
    let took = abandon(&daemon, &upstream, false, ROUNDS, false).await?;
    assert_at_once("local, before the first token", &took);
    Ok(())
}

#[tokio::test]
async fn a_local_client_that_vanishes_in_mid_stream_closes_the_upstream_connection_at_once() -> Result<()> {
    let upstream = Upstream::always(Answer::held(&["once"], &Gate::shut(), &[])).await?;
    let daemon = one_at_a_time(&upstream).await?;
    let took = abandon(&daemon, &upstream, false, ROUNDS, true).await?;
    assert_at_once("local, in mid-stream", &took);
    Ok(())
}

/// A client on TCP that vanishes, before its first token or after it, is noticed in time.
async fn assert_noticed_on_tcp(what: &str, answer: Answer, until_its_first_token: bool) -> Result<()> {
    let upstream = Upstream::always(answer).await?;
    let daemon = one_at_a_time(&upstream).await?;
    let took = abandon(&daemon, &upstream, true, 2, until_its_first_token).await?;
    report(what, &took);
    assert!(took.iter().all(|took| *took < ON_TCP), "{what}: {took:?}");
    Ok(())
}

#[tokio::test]
async fn a_tcp_client_that_vanishes_before_the_first_token_is_noticed_within_two_seconds() -> Result<()> {
    assert_noticed_on_tcp("tcp, before the first token", Answer::Silence, false).await
}

#[tokio::test]
async fn a_tcp_client_that_vanishes_in_mid_stream_is_noticed_by_the_next_tokens() -> Result<()> {
    let tokens = Answer::slow_tokens(&["again "; 1000], Duration::from_millis(20));
    assert_noticed_on_tcp("tcp, in mid-stream", tokens, true).await
}

#[tokio::test]
async fn a_tcp_client_that_vanishes_while_its_answer_stalls_is_noticed_within_two_seconds() -> Result<()> {
    assert_noticed_on_tcp("tcp, in a stall", Answer::held(&["once"], &Gate::shut(), &[]), true).await
}

#[tokio::test]
async fn a_client_that_vanishes_while_it_waits_gives_up_its_place_and_is_never_run() -> Result<()> {
    let gate = Gate::shut();
    let upstream = Upstream::always(Answer::held(&[], &gate, &["late"])).await?;
    let daemon = one_at_a_time(&upstream).await?;
    let mut running = daemon.connect().await?;
    running.send(&request("running")).await?;
    upstream.until(|seen| seen.open == 1).await?;

    let mut took = Vec::new();
    for tcp in [false, true] {
        let mut waiting = if tcp { daemon.connect_tcp().await? } else { daemon.connect().await? };
        waiting.send(&request("waiting")).await?;
        daemon.until(|now| now["waiting"] == 1).await?;
        let left = Instant::now();
        drop(waiting);
        daemon.until(|now| now["waiting"] == 0).await?;
        took.push(left.elapsed());
    }
    report("place freed, local", &took[..1]);
    report("place freed, tcp", &took[1..]);
    assert!(took[0] < AT_ONCE + BUSY, "{took:?}");
    assert!(took[1] < ON_TCP, "{took:?}");

    gate.open();
    assert_eq!(running.frame_of("done").await?["content"], "late");
    daemon.quiet().await?;
    assert_eq!(upstream.seen().requests.len(), 1);
    Ok(())
}

/// Sends one request, shuts down the writing side, and gives the frames up to the end of the connection.
async fn half_closed(mut client: LineClient, gate: Option<&Gate>) -> Result<(usize, String)> {
    client.send(&request("half")).await?;
    client.finish_sending().await?;
    let mut statuses = 0;
    if let Some(gate) = gate {
        client.frame_of("status").await?;
        statuses = 1;
        gate.open();
    }
    let frames = client.rest().await?;
    let last = frames.last().map_or(Ok(""), |done| text(done, "content"))?;
    Ok((statuses + frames.iter().filter(|frame| frame["type"] == "status").count(), last.to_owned()))
}

#[tokio::test]
async fn a_client_that_only_stopped_sending_is_served_and_then_hung_up_on() -> Result<()> {
    let upstream = Upstream::always(Answer::slow_tokens(&["a", "b", "c"], Duration::from_millis(50))).await?;
    let daemon = one_at_a_time(&upstream).await?;
    assert_eq!(half_closed(daemon.connect().await?, None).await?, (0, "abc".to_owned()));
    assert_eq!(half_closed(daemon.connect_tcp().await?, None).await?, (0, "abc".to_owned()));
    assert!(upstream.seen().abandoned.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_half_closed_tcp_client_is_told_each_second_that_it_still_waits() -> Result<()> {
    let gate = Gate::shut();
    let upstream = Upstream::always(Answer::held(&[], &gate, &["late"])).await?;
    let daemon = one_at_a_time(&upstream).await?;
    let (statuses, content) = half_closed(daemon.connect_tcp().await?, Some(&gate)).await?;
    assert_eq!(content, "late");
    assert!((1..=2).contains(&statuses), "{statuses}");
    Ok(())
}

#[tokio::test]
async fn a_cancelled_request_ends_with_what_it_said_and_closes_the_upstream_connection() -> Result<()> {
    let upstream = Upstream::always(Answer::held(&["so ", "far"], &Gate::shut(), &["never"])).await?;
    let daemon = one_at_a_time(&upstream).await?;
    let mut client = daemon.connect().await?;
    client.send(&request("c")).await?;
    client.frame().await?;
    client.frame().await?;
    let cancelled = Instant::now();
    client.send(&serde_json::json!({"type": "cancel", "id": "c"})).await?;
    let done = client.frame().await?;
    assert_eq!((text(&done, "stop_reason")?, text(&done, "content")?), ("cancelled", "so far"));
    let seen = upstream.until(|seen| !seen.abandoned.is_empty()).await?;
    assert_at_once("cancelled", &[seen.abandoned[0].saturating_duration_since(cancelled)]);
    daemon.quiet().await?;
    Ok(())
}

//! Told to stop, the daemon finishes what it has begun, takes nothing new, and ends in time.

use std::time::Duration;

use anyhow::Result;
use inferd_tests::{Answer, Daemon, Gate, LineClient, Signal, Upstream, free_address, request};
use tokio::time::Instant;

use crate::{code, report, text};

/// A daemon with a caller that has its first token and waits for the gate.
async fn mid_stream(settings: &str, gate: &Gate) -> Result<(Daemon, Upstream, LineClient)> {
    let upstream = Upstream::always(Answer::held(&["begun"], gate, &[" and ", "ended"])).await?;
    let daemon = Daemon::start(&format!("{settings}\n{}", upstream.backend("m"))).await?;
    let mut client = daemon.connect().await?;
    client.send(&request("open")).await?;
    client.frame_of("token").await?;
    Ok((daemon, upstream, client))
}

/// Sends the signal and waits until the daemon says that it drains.
async fn drain(daemon: &Daemon, signal: Signal) -> Result<()> {
    let mut admin = LineClient::local(&daemon.admin_socket()).await?;
    daemon.signal(signal)?;
    while admin.frame().await?["status"] != "draining" {}
    Ok(())
}

#[tokio::test]
async fn a_stream_that_is_open_completes_and_newcomers_are_refused() -> Result<()> {
    for signal in [Signal::TERM, Signal::INT] {
        let (gate, tcp) = (Gate::shut(), free_address()?);
        let (mut daemon, _upstream, mut client) =
            mid_stream(&format!("listen.tcp = \"{tcp}\""), &gate).await?;
        drain(&daemon, signal).await?;

        let refused = client.terminal(&request("newcomer")).await?;
        assert_eq!((code(&refused)?, text(&refused, "id")?), ("backend_unavailable", "newcomer"));
        assert!(text(&refused, "message")?.contains("draining"), "{refused}");
        assert!(daemon.connect().await.is_err(), "the local socket still takes connections");
        assert!(daemon.connect_tcp().await.is_err(), "the tcp port still takes connections");

        gate.open();
        let done = client.frame_of("done").await?;
        assert_eq!((text(&done, "id")?, text(&done, "content")?), ("open", "begun and ended"));
        client.closed().await?;
        assert_eq!(daemon.ended().await?.code(), Some(0), "{}", daemon.log());
        assert!(!daemon.socket().exists() && !daemon.admin_socket().exists(), "a socket file is left behind");
    }
    Ok(())
}

#[tokio::test]
async fn a_request_that_waits_is_still_served() -> Result<()> {
    let gate = Gate::shut();
    let (mut daemon, _upstream, mut client) = mid_stream("admission.active = 1", &gate).await?;
    let mut waiting = daemon.connect().await?;
    waiting.send(&request("waiting")).await?;
    daemon.until(|now| now["waiting"] == 1).await?;
    drain(&daemon, Signal::TERM).await?;
    gate.open();
    assert_eq!(client.frame_of("done").await?["id"], "open");
    assert_eq!(waiting.frame_of("done").await?["id"], "waiting");
    assert_eq!(daemon.ended().await?.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn a_stream_longer_than_the_drain_timeout_is_ended_with_a_reason() -> Result<()> {
    let (mut daemon, upstream, mut client) = mid_stream("drain_timeout_s = 0.2", &Gate::shut()).await?;
    let told = Instant::now();
    daemon.signal(Signal::TERM)?;
    let error = client.frame_of("error").await?;
    report("ended after a drain timeout of 200 ms", &[told.elapsed()]);
    assert!(told.elapsed() >= Duration::from_millis(200));
    assert_eq!((code(&error)?, text(&error, "id")?), ("backend_unavailable", "open"));
    assert!(text(&error, "message")?.contains("draining"), "{error}");
    client.closed().await?;
    assert_eq!(daemon.ended().await?.code(), Some(0), "{}", daemon.log());
    upstream.until(|seen| seen.abandoned.len() == 1).await?;
    Ok(())
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once_with_the_signals_own_code() -> Result<()> {
    for (signal, exit) in [(Signal::TERM, 128 + 15), (Signal::INT, 128 + 2)] {
        let (mut daemon, _upstream, _client) = mid_stream("", &Gate::shut()).await?;
        drain(&daemon, signal).await?;
        let told = Instant::now();
        daemon.signal(signal)?;
        assert_eq!(daemon.ended().await?.code(), Some(exit));
        report("gone after the second signal", &[told.elapsed()]);
        assert!(told.elapsed() < Duration::from_secs(1));
    }
    Ok(())
}

#[tokio::test]
async fn an_idle_daemon_stops_at_once_and_hangs_up_on_idle_connections() -> Result<()> {
    let mut daemon = Daemon::start("[[backends]]\nname = \"m\"\nkind = \"mock\"\n").await?;
    let mut idle = daemon.connect().await?;
    idle.terminal(&request("before")).await?;
    let told = Instant::now();
    daemon.signal(Signal::TERM)?;
    assert_eq!(daemon.ended().await?.code(), Some(0));
    report("an idle daemon stopped after", &[told.elapsed()]);
    assert!(told.elapsed() < Duration::from_secs(2));
    idle.closed().await?;
    Ok(())
}

/// Stopped in its tracks, the daemon finds the request and the signal together when it goes on.
#[tokio::test]
async fn a_request_that_crosses_the_signal_is_answered_not_lost() -> Result<()> {
    for round in 0..10 {
        let mut daemon = Daemon::start("[[backends]]\nname = \"m\"\nkind = \"mock\"\n").await?;
        let mut client = daemon.connect().await?;
        client.terminal(&request("before")).await?;
        daemon.signal(Signal::STOP)?;
        client.send(&request("crossing")).await?;
        daemon.signal(Signal::TERM)?;
        daemon.signal(Signal::CONT)?;
        let last = client.answer().await?.pop().unwrap_or_default();
        let refused = last["code"] == "backend_unavailable" && last["message"] == "draining";
        assert!(last["type"] == "done" || refused, "round {round}: {last}");
        assert_eq!(daemon.ended().await?.code(), Some(0));
    }
    Ok(())
}

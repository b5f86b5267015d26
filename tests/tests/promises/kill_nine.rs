//! Killed in the middle of anything, the daemon starts again as if nothing had been.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use inferd_tests::{Daemon, Home, LineClient, PATIENCE, Signal, request};
use tokio::time::{Instant, sleep};

const SLOW: &str = r#"
[admission]
active = 2
client = "connection"
[[backends]]
name = "m"
kind = "mock"
tokens = ["a", "b", "c", "d"]
token_delay_ms = 10
"#;

async fn kill(mut daemon: Daemon) -> Result<()> {
    daemon.signal(Signal::KILL)?;
    assert_eq!(daemon.ended().await?.code(), None, "it ended by itself");
    Ok(())
}

/// Waits for a file to be there.
async fn appears(path: PathBuf) -> Result<()> {
    let begun = Instant::now();
    while !path.exists() {
        if begun.elapsed() > PATIENCE {
            bail!("{} does not appear", path.display());
        }
        sleep(Duration::from_micros(200)).await;
    }
    Ok(())
}

/// The daemon starts, answers, and has no slot taken.
async fn starts_afresh(home: &Arc<Home>) -> Result<Daemon> {
    let daemon = Daemon::start_in(home).await?;
    let mut client = daemon.connect().await?;
    assert_eq!(client.terminal(&request("after")).await?["content"], "abcd");
    daemon.quiet().await?;
    Ok(daemon)
}

#[tokio::test]
async fn killed_while_it_starts_it_starts_again() -> Result<()> {
    let home = Arc::new(Home::new(SLOW)?);
    for sign_of_life in [None, Some(home.lock()), Some(home.admin_socket()), Some(home.socket())] {
        for leftover in [home.lock(), home.admin_socket(), home.socket()] {
            if leftover.exists() {
                std::fs::remove_file(leftover)?;
            }
        }
        let daemon = Daemon::spawn_in(&home)?;
        if let Some(sign) = sign_of_life {
            appears(sign).await?;
        }
        kill(daemon).await?;
        kill(starts_afresh(&home).await?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn killed_in_mid_stream_it_starts_again() -> Result<()> {
    let home = Arc::new(Home::new(SLOW)?);
    for _ in 0..3 {
        let daemon = starts_afresh(&home).await?;
        let mut clients = Vec::new();
        for n in 0..8 {
            let mut client = daemon.connect().await?;
            client.send(&request(&n.to_string())).await?;
            clients.push(client);
        }
        clients[0].frame_of("token").await?;
        kill(daemon).await?;
        assert!(home.socket().exists(), "the socket file stays behind");
        for client in &mut clients {
            client.rest().await?;
        }
    }
    starts_afresh(&home).await?.stop().await?;
    Ok(())
}

#[tokio::test]
async fn killed_with_nothing_to_do_or_in_the_middle_of_a_line_it_starts_again() -> Result<()> {
    let home = Arc::new(Home::new(SLOW)?);
    for _ in 0..3 {
        let daemon = starts_afresh(&home).await?;
        let (mut idle, mut halfway) = (daemon.connect().await?, daemon.connect().await?);
        halfway.send_bytes(br#"{"id":"half","messages":[{"role":"us"#).await?;
        kill(daemon).await?;
        idle.closed().await?;
        halfway.closed().await?;
    }
    let daemon = starts_afresh(&home).await?;
    assert!(LineClient::local(&home.socket()).await.is_ok());
    assert_eq!(daemon.stop().await?.code(), Some(0));
    Ok(())
}

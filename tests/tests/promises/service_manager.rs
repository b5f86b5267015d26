//! Under systemd: the daemon says that it serves, lives, reloads and stops, and serves a socket opened for it.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context, Result};
use inferd_tests::{Daemon, Home, LineClient, PATIENCE, Signal, request};
use tokio::net::UnixDatagram;
use tokio::process::Command;
use tokio::time::timeout;

use crate::text;

const MOCK: &str = "[[backends]]\nname = \"m\"\nkind = \"mock\"\ntokens = [\"hello\"]\n";

async fn word(manager: &UnixDatagram) -> Result<String> {
    let mut word = [0; 64];
    let length = timeout(PATIENCE, manager.recv(&mut word)).await.context("nothing was said")??;
    Ok(String::from_utf8(word[..length].to_vec())?.trim().to_owned())
}

#[tokio::test]
async fn it_is_told_of_the_start_of_life_and_of_the_end() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("notify");
    let manager = UnixDatagram::bind(&path)?;
    let home = Home::new(MOCK)?.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "20000");
    let daemon = Daemon::start_in(&Arc::new(home)).await?;
    assert_eq!(word(&manager).await?, "READY=1");
    for _ in 0..3 {
        assert_eq!(word(&manager).await?, "WATCHDOG=1");
    }
    assert_eq!(daemon.stop().await?.code(), Some(0));
    while word(&manager).await? != "STOPPING=1" {}
    Ok(())
}

#[tokio::test]
async fn it_is_told_of_a_reload_and_of_its_end_whatever_came_of_it() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("notify");
    let manager = UnixDatagram::bind(&path)?;
    let daemon = Daemon::start_in(&Arc::new(Home::new(MOCK)?.env("NOTIFY_SOCKET", &path))).await?;
    assert_eq!(word(&manager).await?, "READY=1");
    for file in [MOCK, "nonsense"] {
        daemon.home().configure(file)?;
        daemon.signal(Signal::HUP)?;
        let reloading = word(&manager).await?;
        let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").context(reloading.clone())?;
        assert!(since.parse::<u64>()? > 0, "{reloading}");
        assert_eq!(word(&manager).await?, "READY=1");
    }
    Ok(())
}

#[tokio::test]
async fn a_socket_opened_for_it_is_served_and_left() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("activated.sock");
    let opened = UnixListener::bind(&path)?;
    // Whoever connects before there is a daemon is served once there is one.
    let mut early = LineClient::local(&path).await?;
    early.send(&request("early")).await?;

    let home = Home::new(MOCK)?;
    let daemon = home.command("inferd-daemon")?;
    let environment = daemon.as_std().get_envs().filter_map(|(key, value)| Some((key, value?)));
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", r#"exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0""#])
        .arg(daemon.as_std().get_program())
        .env_clear()
        .envs(environment)
        .stdin(Stdio::from(OwnedFd::from(opened)))
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut running = shell.spawn()?;

    let done = early.frame_of("done").await?;
    assert_eq!(text(&done, "content")?, "hello");
    assert!(!home.socket().exists(), "a second socket was bound");
    running.start_kill()?;
    running.wait().await?;
    assert!(path.exists(), "the socket is its opener's to remove");
    Ok(())
}

//! Over TCP with a key configured, a stranger gets not one byte.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use inferd_tests::{Daemon, Home, LineClient, free_address, request};
use serde_json::json;
use tokio::time::Instant;

const KEY: &str = "correct horse battery staple";

async fn daemon() -> Result<Daemon> {
    let tcp = free_address()?;
    let listen = format!("[listen]\ntcp = \"{tcp}\"\napi_key_env = \"THE_KEY\"\n");
    let mock = "[[backends]]\nname = \"m\"\nkind = \"mock\"\ntokens = [\"a\"]\n";
    Daemon::start_in(&Arc::new(Home::new(&(listen + mock))?.env("THE_KEY", KEY))).await
}

/// Sends lines as a stranger's first and waits to be hung up on without a word.
async fn turned_away(daemon: &Daemon, lines: &[u8]) -> Result<()> {
    let mut client = daemon.connect_tcp().await?;
    // The daemon may hang up before it has all of it.
    client.send_bytes(lines).await.ok();
    client.closed().await
}

async fn admitted(daemon: &Daemon) -> Result<LineClient> {
    let mut client = daemon.connect_tcp().await?;
    client.send(&json!({"type": "auth", "key": KEY})).await?;
    Ok(client)
}

#[tokio::test]
async fn a_wrong_a_malformed_and_a_missing_key_are_turned_away_without_a_frame() -> Result<()> {
    let daemon = daemon().await?;
    let wrong: [&[u8]; 8] = [
        br#"{"type":"auth","key":"wrong"}"#,
        br#"{"type":"auth","key":""}"#,
        br#"{"type":"auth","key":7}"#,
        br#"{"type":"auth"}"#,
        br#"{"type":"hello"}"#,
        br#"{"id":"1","messages":[{"role":"user","content":"x"}]}"#,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r",
        b"",
    ];
    for line in wrong {
        turned_away(&daemon, &[line, b"\n"].concat()).await?;
    }
    let key_second = format!("{}\n{}\n", request("1"), json!({"type": "auth", "key": KEY}));
    turned_away(&daemon, key_second.as_bytes()).await?;
    let log = daemon.log();
    assert!(!log.contains(KEY) && !log.contains("wrong"), "a key is in the log:\n{log}");
    Ok(())
}

#[tokio::test]
async fn the_right_key_is_served_and_what_comes_with_it_is_not_lost() -> Result<()> {
    let daemon = daemon().await?;
    let mut client = admitted(&daemon).await?;
    for id in ["first", "second"] {
        assert_eq!(client.terminal(&request(id)).await?["content"], "a");
    }
    let mut together = daemon.connect_tcp().await?;
    let lines = format!("{}\n{}\n{}\n", json!({"type": "auth", "key": KEY}), request("x"), request("y"));
    together.send_bytes(lines.as_bytes()).await?;
    for _ in 0..2 {
        assert_eq!(together.frame_of("done").await?["content"], "a");
    }
    let mut local = daemon.connect().await?;
    assert_eq!(local.terminal(&request("local")).await?["content"], "a", "a local socket needs no key");
    Ok(())
}

#[tokio::test]
async fn a_first_line_past_four_kibibytes_is_turned_away() -> Result<()> {
    let daemon = daemon().await?;
    let endless = vec![b' '; 4096];
    turned_away(&daemon, &endless).await?;
    let padded = format!("{}{}\n", " ".repeat(4096), json!({"type": "auth", "key": KEY}));
    turned_away(&daemon, padded.as_bytes()).await?;
    let just_short = format!("{}{}\n", " ".repeat(3000), json!({"type": "auth", "key": KEY}));
    let mut client = daemon.connect_tcp().await?;
    client.send_bytes(just_short.as_bytes()).await?;
    assert_eq!(client.terminal(&request("x")).await?["content"], "a");
    Ok(())
}

#[tokio::test]
async fn a_key_that_does_not_come_within_five_seconds_is_too_late() -> Result<()> {
    let daemon = daemon().await?;
    let begun = Instant::now();
    let mut silent = daemon.connect_tcp().await?;
    let mut slow = daemon.connect_tcp().await?;
    slow.send_bytes(br#"{"type":"auth","#).await?;
    silent.closed().await?;
    slow.closed().await?;
    let waited = begun.elapsed();
    assert!((Duration::from_secs(4)..Duration::from_secs(8)).contains(&waited), "{waited:?}");
    Ok(())
}

#[tokio::test]
async fn a_half_closed_stranger_is_let_go_and_a_half_closed_friend_is_served() -> Result<()> {
    let daemon = daemon().await?;
    let mut stranger = daemon.connect_tcp().await?;
    stranger.finish_sending().await?;
    stranger.closed().await?;
    let mut friend = admitted(&daemon).await?;
    friend.send(&request("x")).await?;
    friend.finish_sending().await?;
    assert_eq!(friend.rest().await?.pop().unwrap_or_default()["content"], "a");
    Ok(())
}

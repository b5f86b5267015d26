//! MCP clients of the built daemon, by way of the built bridge.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use inferd_tests::{Bridge, Daemon, Home, PATIENCE, free_address};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

/// `printf alpha | sha256sum`, and of `beta`.
const ALPHA: &str = "8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8";
const BETA: &str = "f44e64e75f3948e9f73f8dfa94721c4ce8cbb4f265c4790c702b2d41cfbf2753";

/// A daemon that takes MCP clients, with a script of three tokens.
fn configured(token_delay_ms: u32, more: &str) -> Result<String> {
    Ok(format!(
        "[mcp]\nlisten = \"{}\"\n{more}\n[[backends]]\nname = \"script\"\nkind = \"mock\"\ntokens = [\"a\", \"b\", \
         \"c\"]\ntoken_delay_ms = {token_delay_ms}\n",
        free_address()?
    ))
}

async fn generate(bridge: &mut Bridge) -> Result<Value> {
    let id = bridge.begin("generate", json!({ "prompt": "hi" })).await?;
    bridge.answer(id).await
}

fn text(answer: &Value) -> Result<&str> {
    answer["result"]["content"][0]["text"].as_str().with_context(|| format!("no text in {answer}"))
}

#[tokio::test]
async fn a_session_goes_on_after_the_daemon_was_killed_and_started_again() -> Result<()> {
    let daemon = Daemon::start(&configured(0, "")?).await?;
    let home = Arc::clone(daemon.home());
    let mut bridge = Bridge::open(&home).await?;
    ensure!(text(&generate(&mut bridge).await?)? == "abc");
    let mut daemon = daemon;
    daemon.signal(Signal::KILL)?;
    daemon.ended().await?;
    let daemon = Daemon::start_in(&home).await?;
    ensure!(text(&generate(&mut bridge).await?)? == "abc");
    daemon.until(|now| now["sessions"] == 1).await?;
    Ok(())
}

#[tokio::test]
async fn where_sessions_do_not_persist_the_bridge_begins_another() -> Result<()> {
    let daemon = Daemon::start(&configured(0, "persist = false")?).await?;
    let home = Arc::clone(daemon.home());
    let mut bridge = Bridge::open(&home).await?;
    daemon.stop().await?;
    let _daemon = Daemon::start_in(&home).await?;
    ensure!(text(&generate(&mut bridge).await?)? == "abc");
    Ok(())
}

#[tokio::test]
async fn a_daemon_that_stops_finishes_the_call_of_an_mcp_client() -> Result<()> {
    let mut daemon = Daemon::start(&configured(300, "")?).await?;
    let mut bridge = Bridge::open(&Arc::clone(daemon.home())).await?;
    let call = bridge.begin("generate", json!({ "prompt": "hi" })).await?;
    while bridge.hear().await?["method"] != "notifications/progress" {}
    daemon.signal(Signal::TERM)?;
    ensure!(text(&bridge.answer(call).await?)? == "abc");
    ensure!(daemon.ended().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_call_ends_when_it_is_cancelled_and_not_because_its_client_is_away() -> Result<()> {
    let daemon = Daemon::start(&configured(60_000, "")?).await?;
    let mut bridge = Bridge::open(daemon.home()).await?;
    bridge.begin("generate", json!({ "prompt": "hi" })).await?;
    daemon.until(|now| now["running"] == 1 && now["sessions"] == 1).await?;
    bridge.child.kill().await?;
    // Its client may come back for the answer.
    let mut other = Bridge::open(daemon.home()).await?;
    let call = other.begin("generate", json!({ "prompt": "hi" })).await?;
    daemon.until(|now| now["running"] == 2).await?;
    let params = json!({ "requestId": call });
    other.say(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params })).await?;
    daemon.until(|now| now["running"] == 1).await?;
    Ok(())
}

#[tokio::test]
async fn keys_of_mcp_clients_change_with_a_reload() -> Result<()> {
    let home = Arc::new(Home::new(&configured(0, "api_keys_file = \"keys.toml\"")?)?);
    let keys = home.config().with_file_name("keys.toml");
    std::fs::write(&keys, format!("a = \"{ALPHA}\"\n"))?;
    let daemon = Daemon::start_in(&home).await?;
    let refused =
        |answer: &Value| answer["error"]["message"].as_str().is_some_and(|said| said.contains("401"));
    let with_key = ["--api-key-env", "KEY"];
    for (key, enters) in [("alpha", true), ("beta", false)] {
        let hello = Bridge::spawn(&home, &with_key, key)?.hello().await?;
        ensure!(refused(&hello) != enters, "{key}: {hello}");
    }
    std::fs::write(&keys, format!("b = \"{BETA}\"\n"))?;
    let reloaded = daemon.reload().await?;
    ensure!(reloaded["settings"] == json!(["[mcp] api_keys_file"]), "{reloaded}");
    for (key, enters) in [("alpha", false), ("beta", true)] {
        let hello = Bridge::spawn(&home, &with_key, key)?.hello().await?;
        ensure!(refused(&hello) != enters, "{key}: {hello}");
    }
    Ok(())
}

#[tokio::test]
async fn where_no_mcp_client_is_taken_the_bridge_says_how_to_change_that() -> Result<()> {
    let daemon = Daemon::start("[[backends]]\nname = \"script\"\nkind = \"mock\"\n").await?;
    let mut bridge = Bridge::spawn(daemon.home(), &[], "")?;
    let ended = timeout(PATIENCE, bridge.child.wait()).await.context("it did not end")??;
    let mut said = String::new();
    let Some(mut errors) = bridge.child.stderr.take() else { bail!("it has standard error") };
    errors.read_to_string(&mut said).await?;
    ensure!(ended.code() == Some(10) && said.contains("--mcp"), "{ended}: {said}");
    Ok(())
}

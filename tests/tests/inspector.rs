//! The inspector of the Model Context Protocol, from its command line, against the built daemon. `tests/run` installs
//! it and says where it is.
#![cfg(unix)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use inferd_tests::{Daemon, free_address};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon, and where MCP clients find it.
async fn daemon() -> Result<(Daemon, SocketAddr)> {
    let listen = free_address()?;
    let config = format!(
        "[mcp]\nlisten = \"{listen}\"\n[[backends]]\nname = \"script\"\nkind = \"mock\"\ntokens = [\"a\", \"b\", \
         \"c\"]\n"
    );
    Ok((Daemon::start(&config).await?, listen))
}

/// What the inspector shows of `method`.
async fn look((daemon, listen): &(Daemon, SocketAddr), method: &str, arguments: &[&str]) -> Result<Value> {
    let modules = std::env::var("INFERD_TEST_NODE_MODULES")
        .context("INFERD_TEST_NODE_MODULES is not set: run tests/run")?;
    let modules = PathBuf::from(modules);
    let mut command = Command::new(modules.join("node/bin/node"));
    command
        .arg(modules.join("@modelcontextprotocol/inspector/clients/launcher/build/index.js"))
        .args(["--cli", &format!("http://{listen}/mcp"), "--transport", "http", "--method", method])
        .args(arguments)
        .env("HOME", daemon.home().runtime_dir())
        .kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.context("the inspector did not end")??;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{method} {arguments:?}: {}\n{said}", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("{method}: it shows no JSON, but\n{said}"))
}

/// A daemon before the reference server.
async fn with_upstream() -> Result<(Daemon, SocketAddr)> {
    let modules = std::env::var("INFERD_TEST_NODE_MODULES")
        .context("INFERD_TEST_NODE_MODULES is not set: run tests/run")?;
    let script = format!("{modules}/@modelcontextprotocol/server-everything/dist/index.js");
    let command = json!([format!("{modules}/node/bin/node"), script, "stdio"]);
    let listen = free_address()?;
    let config = format!(
        "[mcp]\nlisten = \"{listen}\"\n[[backends]]\nname = \"script\"\nkind = \"mock\"\n\
         [[servers]]\nid = \"every\"\ncommand = {command}\n"
    );
    let daemon = Daemon::start(&config).await?;
    daemon.until(|now| now["servers"][0]["state"] == "live").await?;
    Ok((daemon, listen))
}

fn is_valid(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

fn names<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    list.as_array().into_iter().flatten().filter_map(|listed| listed[field].as_str()).collect()
}

#[tokio::test]
async fn the_inspector_lists_tools_and_finds_nothing_wrong_with_their_schemas() -> Result<()> {
    let shown = look(&daemon().await?, "tools/list", &["--strict"]).await?;
    let tools = names(&shown["tools"], "name");
    assert_eq!(tools[..6], ["generate", "embed", "list_models", "daemon_status", "run_agent", "lend_model"]);
    assert!(tools.iter().all(|name| is_valid(name)), "{tools:?}");
    Ok(())
}

#[tokio::test]
async fn the_inspector_sees_valid_names_of_an_upstream_server_and_calls_one() -> Result<()> {
    let daemon = with_upstream().await?;
    let shown = look(&daemon, "tools/list", &[]).await?;
    let tools = names(&shown["tools"], "name");
    ensure!(tools.contains(&"every__echo") && tools[6..].is_sorted(), "{tools:?}");
    assert!(tools.iter().all(|name| is_valid(name)), "{tools:?}");
    let prompts = look(&daemon, "prompts/list", &[]).await?;
    let prompts = names(&prompts["prompts"], "name");
    ensure!(!prompts.is_empty() && prompts.iter().all(|name| is_valid(name)), "{prompts:?}");
    let arguments = ["--tool-name", "every__echo", "--tool-arg", "message=hi"];
    let shown = look(&daemon, "tools/call", &arguments).await?;
    assert_eq!(shown["content"][0]["text"], "Echo: hi", "{shown}");
    Ok(())
}

#[tokio::test]
async fn the_inspector_has_the_daemon_generate() -> Result<()> {
    let arguments = ["--tool-name", "generate", "--tool-arg", "prompt=hi"];
    let shown = look(&daemon().await?, "tools/call", &arguments).await?;
    assert_eq!(
        (&shown["content"][0]["text"], &shown["structuredContent"]["usage"]["completion_tokens"]),
        (&json!("abc"), &json!(3)),
        "{shown}"
    );
    Ok(())
}

#[tokio::test]
async fn the_inspector_lists_resources_and_reads_one() -> Result<()> {
    let daemon = daemon().await?;
    let shown = look(&daemon, "resources/list", &[]).await?;
    assert_eq!(names(&shown["resources"], "uri"), ["inferd://status", "inferd://models"]);
    let read = look(&daemon, "resources/read", &["--uri", "inferd://models"]).await?;
    let text = read["contents"][0]["text"].as_str().with_context(|| format!("no text in {read}"))?;
    assert_eq!(serde_json::from_str::<Value>(text)?["models"][0]["backend"], "script");
    Ok(())
}

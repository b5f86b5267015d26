//! MCP clients made of the Python SDK, both majors, over HTTP and through `inferd-cli mcp`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use inferd_tests::{Daemon, Home, free_address};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use crate::mcp_python;

/// How long one client may take for all it does.
const PATIENCE: Duration = Duration::from_secs(90);

/// A daemon whose answers take their time.
async fn daemon() -> Result<(Daemon, SocketAddr)> {
    let listen = free_address()?;
    let config = format!(
        "[mcp]\nlisten = \"{listen}\"\n[[backends]]\nname = \"script\"\nkind = \"mock\"\n\
         tokens = [\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\", \"h\"]\ntoken_delay_ms = 120\n"
    );
    Ok((Daemon::start(&config).await?, listen))
}

/// What the client of this major saw.
async fn client(home: &Arc<Home>, major: u32, arguments: &[&str]) -> Result<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/mcp_client.py");
    let mut command = Command::new(mcp_python(major)?);
    command
        .arg("-B")
        .arg(script)
        .args(arguments)
        .env("XDG_RUNTIME_DIR", home.runtime_dir())
        .kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.context("the client did not end")??;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the client failed:\n{said}");
    serde_json::from_slice(&output.stdout).with_context(|| format!("the client said no JSON, but\n{said}"))
}

/// What every client has to have seen, whatever way it came.
fn check(seen: &Value, version: &str) {
    assert_eq!(seen["version"], version, "{seen}");
    let own = ["generate", "embed", "list_models", "daemon_status", "run_agent", "lend_model"];
    assert_eq!(seen["tools"], json!(own));
    assert_eq!(seen["resources"], json!(["inferd://status", "inferd://models"]));
    assert_eq!(seen["models"][0]["backend"], "script");
    assert_eq!(
        seen["wrong"],
        json!([true, "invalid_request: temperature: expected a number from 0 to 2, got 3"])
    );
    assert_eq!(seen["answer"], "abcdefgh");
    let shown = seen["shown"].as_array().map(Vec::as_slice).unwrap_or_default();
    let grows = shown.windows(2).all(|pair| pair[0][0].as_f64() < pair[1][0].as_f64());
    assert!(grows && shown.len() > 3 && shown.last().is_some_and(|last| last[1] == "abcdefgh"), "{shown:?}");
    assert_eq!((&seen["running"], &seen["cancelled"]), (&json!(1), &json!(true)));
}

/// Nothing is left of a client that has gone.
async fn check_gone(daemon: &Daemon) -> Result<()> {
    daemon.until(|now| now["sessions"] == 0 && now["running"] == 0 && now["clients"] == 0).await?;
    Ok(())
}

#[tokio::test]
async fn both_majors_call_are_cut_off_come_back_and_leave_over_http() -> Result<()> {
    let (daemon, listen) = daemon().await?;
    for major in [1, 2] {
        let seen =
            client(daemon.home(), major, &["http", &format!("http://{listen}/mcp"), "session"]).await?;
        check(&seen, "2025-11-25");
        assert_eq!(seen["after_cut"], "abcdefgh", "SDK {major}");
        assert_eq!(
            (&seen["shown_once_each"], &seen["read_again"]),
            (&json!(true), &json!(true)),
            "SDK {major}"
        );
        check_gone(&daemon).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_client_of_2026_07_28_needs_no_session() -> Result<()> {
    let (daemon, listen) = daemon().await?;
    let seen = client(daemon.home(), 2, &["http", &format!("http://{listen}/mcp"), "sessionless"]).await?;
    check(&seen, "2026-07-28");
    check_gone(&daemon).await
}

#[tokio::test]
async fn both_majors_and_both_eras_work_through_the_bridge() -> Result<()> {
    let (daemon, _) = daemon().await?;
    let bridge = Home::binary("inferd-cli")?;
    let bridge = bridge.to_str().context("the binary has a plain path")?;
    for (major, era, version) in
        [(1, "session", "2025-11-25"), (2, "session", "2025-11-25"), (2, "sessionless", "2026-07-28")]
    {
        let seen = client(daemon.home(), major, &["stdio", era, bridge, "mcp"]).await?;
        check(&seen, version);
        check_gone(&daemon).await?;
    }
    Ok(())
}

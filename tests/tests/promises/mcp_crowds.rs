//! Many MCP clients, or one that acts as many: what each costs is bounded, and the others are served.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use inferd_tests::{Daemon, Home, McpClient, free_address};
use serde_json::{Value, json};

/// As many keys as sessions of 64 each make a daemon full.
const KEYS: usize = 16;
const SESSIONS_OF_A_KEY: usize = 64;

/// Of `key0`, `key1`, and so on: `printf key0 | sha256sum`.
const HASHES: [&str; KEYS] = [
    "a819408ce5010ca2e09ef59ac3d89f5ff8595d02b524e61bf8afa894a95d594f",
    "8174099687a26621f4e2cdd7cc03b3dacedb3fb962255b1aafd033cabe831530",
    "b10253764c8b233fb37542e23401c7b450e5a6f9751f3b5a014f6f67e8bc999d",
    "f576104eebeab09651d83acffc77c8b8c6eaa4b767aeab24d7da80f83f51d865",
    "a4b3504c2769fce9547f6dda310dd8b094d630a044d65f5324d4b37310aab714",
    "07e7394e0702340d9fd1d777fbbad2804a5188d1dd07ff580f473bd7645ff205",
    "8dfad052fee5c62957d3ebe1752219a02f45634b2c32a6ac408b26ffcedfb7da",
    "1e3f92d0f678eb83b0bf93855d90699d8ae5dfb4ae023bdf352bd8d93f2060b1",
    "5bda7a9c0fb9e5102411342f9bedf63f37d8835ee6e903e95dd3050fd15af81c",
    "dd9d6e0266d0a3f9adf3748ba973419b373d33434f649276549a1963164e7e49",
    "148bc7fa770e6e057657d90f45b92553689e211e96863a401ec8fb455f3091b1",
    "e964e91cb42e10c4f7e0ecd1a344d4fa24306de8ae45fb20bcd0f482f732cbff",
    "040623b913f92eb696aa476bd8f9bf942fb5e446f3a074a8ef553ae6fd38559c",
    "485246e6c73d3289378a31c7e47401cdead98b5a7c64a5a48e1b60a4f9f3d45f",
    "1e0c92fd487aae4027971e42724db2c2967775fa0d987582ddee7d4d57550ad6",
    "6b4e7621b69f1b9e9a0579f021f78c34006ff840a27f7026e1b698a9d3eac1a1",
];

fn bearer(key: usize) -> String {
    format!("authorization: Bearer key{key}\r\n")
}

fn ping() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })
}

/// A daemon that asks its MCP clients for one of the keys, and where they find it.
async fn daemon(more: &str) -> Result<(Daemon, SocketAddr)> {
    let listen = free_address()?;
    let config = format!(
        "{more}\n[mcp]\nlisten = \"{listen}\"\napi_keys_file = \"keys.toml\"\n[[backends]]\nname = \"script\"\n\
         kind = \"mock\"\ntokens = [\"a\", \"b\", \"c\"]\n"
    );
    let home = Arc::new(Home::new(&config)?);
    let mut keys = String::new();
    for (key, hash) in HASHES.iter().enumerate() {
        writeln!(keys, "key{key} = \"{hash}\"")?;
    }
    std::fs::write(home.config().with_file_name("keys.toml"), keys)?;
    Ok((Daemon::start_in(&home).await?, listen))
}

/// Memory that the daemon holds, in bytes.
#[cfg(target_os = "linux")]
fn resident(daemon: &Daemon) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid()?))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).context("no number")?.parse::<u64>()? * 1024)
}

#[tokio::test]
async fn ten_thousand_posts_without_a_session_leave_none() -> Result<()> {
    let (daemon, listen) = daemon("").await?;
    let clients = (0..8).map(|_| async {
        let mut client = McpClient::connect(listen, &bearer(0)).await?;
        for _ in 0..1250 {
            let refused = client.post(&ping()).await?;
            ensure!(refused.status == 400, "{refused:?}");
        }
        Ok(())
    });
    futures_util::future::try_join_all(clients).await?;
    let now = daemon.snapshot().await?;
    ensure!(now["sessions"] == 0 && now["running"] == 0, "{now}");
    Ok(())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn as_many_sessions_as_there_may_be_cost_little_each() -> Result<()> {
    const EACH_MAX: u64 = 64 * 1024;
    let (daemon, listen) = daemon("").await?;
    let mut client = McpClient::connect(listen, &bearer(0)).await?;
    client.open_session().await?;
    let before = resident(&daemon)?;
    for key in 0..KEYS {
        client.head = bearer(key);
        for _ in 0..SESSIONS_OF_A_KEY {
            client.open_session().await?;
            client.head = bearer(key);
        }
    }
    let sessions = u64::try_from(KEYS * SESSIONS_OF_A_KEY)?;
    daemon.until(|now| now["sessions"] == sessions).await?;
    let each = resident(&daemon)?.saturating_sub(before) / sessions;
    println!("an idle session: {each} bytes");
    ensure!(each <= EACH_MAX, "{each} bytes a session");
    Ok(())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_that_begins_sessions_without_end_has_no_more_than_its_share() -> Result<()> {
    const GROWTH_MAX: u64 = 64 * 1024 * 1024;
    let (daemon, listen) = daemon("").await?;
    let mut other = McpClient::connect(listen, &bearer(1)).await?;
    other.open_session().await?;
    let before = resident(&daemon)?;
    let greedy = (0..8).map(|_| async {
        let mut client = McpClient::connect(listen, &bearer(0)).await?;
        for _ in 0..1250 {
            client.head = bearer(0);
            client.open_session().await?;
        }
        Ok(())
    });
    let greedy = futures_util::future::try_join_all(greedy);
    let served = async {
        for _ in 0..20 {
            let answer = other.call("generate", &json!({ "prompt": "hi" })).await?;
            ensure!(answer["structuredContent"]["text"] == "abc", "{answer}");
        }
        Ok::<_, anyhow::Error>(())
    };
    tokio::try_join!(greedy, served)?;
    let now = daemon.snapshot().await?;
    ensure!(now["sessions"] == SESSIONS_OF_A_KEY + 1, "{now}");
    let growth = resident(&daemon)?.saturating_sub(before);
    println!("after 10000 sessions of one key: {} KiB more", growth / 1024);
    ensure!(growth <= GROWTH_MAX, "{growth} bytes more");
    // It was not the other's sessions that made way.
    let answer = other.call("generate", &json!({ "prompt": "hi" })).await?;
    ensure!(answer["structuredContent"]["text"] == "abc", "{answer}");
    Ok(())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_that_opens_streams_without_end_and_reads_none_shuts_nobody_out() -> Result<()> {
    const STREAMS: usize = 10_000;
    const OPEN: usize = 512;
    const GROWTH_MAX: u64 = 64 * 1024 * 1024;
    let (daemon, listen) = daemon("limits.connections_max = 256").await?;
    let mut other = McpClient::connect(listen, &bearer(1)).await?;
    other.open_session().await?;
    let mut standing = McpClient::connect(listen, &other.head).await?;
    standing.stand().await?;
    let before = resident(&daemon)?;
    // More than the listener takes at a time; the oldest are let go so that the machine has sockets enough.
    let mut unread = std::collections::VecDeque::new();
    for count in 0..STREAMS {
        let mut client = McpClient::connect(listen, &format!("{}{}", bearer(0), LISTEN_HEAD)).await?;
        // Some are closed by the daemon already.
        client.send(&listen_to_changes()).await.ok();
        unread.push_back(client);
        if unread.len() > OPEN {
            unread.pop_front();
        }
        if count % 1000 == 999 {
            let mut next = McpClient::connect(listen, &other.head).await?;
            let answer = next.call("generate", &json!({ "prompt": "hi" })).await?;
            ensure!(answer["structuredContent"]["text"] == "abc", "{answer}");
        }
    }
    let growth = resident(&daemon)?.saturating_sub(before);
    println!("after {STREAMS} streams of one key: {} KiB more", growth / 1024);
    ensure!(growth <= GROWTH_MAX, "{growth} bytes more");
    Ok(())
}

/// What a subscription of 2026-07-28 says in its head.
const LISTEN_HEAD: &str = "mcp-protocol-version: 2026-07-28\r\nmcp-method: subscriptions/listen\r\n";

fn listen_to_changes() -> Value {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "0" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let wanted = json!({ "toolsListChanged": true });
    let params = json!({ "_meta": meta, "notifications": wanted });
    json!({ "jsonrpc": "2.0", "id": 7, "method": "subscriptions/listen", "params": params })
}

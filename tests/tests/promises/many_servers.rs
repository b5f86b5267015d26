//! Upstream servers are started, shown, reloaded and ended by the daemon, and none of them holds anything back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use inferd_tests::{Daemon, PATIENCE};
use serde_json::{Value, json};
use tokio::time::Instant;

const MOCK: &str = "[[backends]]\nname = \"m\"\nkind = \"mock\"\n";

/// A server of one tool, in the language of the shell. Its first argument is a file that gets its process's number.
const SERVER: &str = r#"echo $$ > "$1"
while IFS= read -r line; do
  id=${line#*\"id\":}; id=${id%%[,\}]*}
  case $line in
  *'"method":"initialize"'*) result='{"protocolVersion":"2025-06-18","serverInfo":{"name":"sh","version":"1"},"capabilities":{"tools":{}}}' ;;
  *'"method":"ping"'*) result='{}' ;;
  *'"method":"tools/list"'*) result='{"tools":[{"name":"only","inputSchema":{"type":"object"}},{"name":"odd","inputSchema":3}]}' ;;
  *) continue ;;
  esac
  echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":$result}"
done
"#;

struct Scripts(tempfile::TempDir);

impl Scripts {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("server.sh"), SERVER)?;
        std::fs::write(dir.path().join("silent.sh"), "echo $$ > \"$1\"\nexec sleep 1000\n")?;
        Ok(Self(dir))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The table of a server that runs `script` and writes its number to a file named after it.
    fn table(&self, id: &str, script: &str) -> String {
        let command = json!(["sh", self.path(script), self.path(&format!("{id}.pid"))]);
        format!("[[servers]]\nid = \"{id}\"\ncommand = {command}\nenv = [\"PATH\"]\n")
    }

    /// The number of the process that `id` runs as, once it has written it.
    async fn pid(&self, id: &str) -> Result<String> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            match std::fs::read_to_string(self.path(&format!("{id}.pid"))) {
                Ok(pid) if pid.ends_with('\n') => return Ok(pid.trim().to_owned()),
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        Err(anyhow::anyhow!("{id} did not start"))
    }
}

fn runs(pid: &str) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
        && !std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default().contains(") Z ")
}

/// What the snapshot says of one server.
fn server<'a>(snapshot: &'a Value, id: &str) -> Option<&'a Value> {
    snapshot["servers"].as_array()?.iter().find(|server| server["id"] == id)
}

fn is(snapshot: &Value, id: &str, state: &str) -> bool {
    server(snapshot, id).is_some_and(|server| server["state"] == state)
}

#[tokio::test]
async fn servers_are_shown_with_their_state_and_the_dead_ones_with_the_reason() -> Result<()> {
    let scripts = Scripts::new()?;
    let config = [
        MOCK.to_owned(),
        scripts.table("good", "server.sh"),
        scripts.table("silent", "silent.sh"),
        "[[servers]]\nid = \"crash\"\ncommand = [\"sh\", \"-c\", \"echo no luck >&2; exit 7\"]\n".to_owned(),
        "[[servers]]\nid = \"far\"\nurl = \"http://127.0.0.1:9/mcp\"\n".to_owned(),
    ];
    let daemon = Daemon::start(&config.concat()).await?;
    let error = |now: &Value, id| server(now, id).is_some_and(|it| it["last_error"].is_string());
    let now = daemon.until(|now| is(now, "good", "live") && error(now, "crash") && error(now, "far")).await?;
    let good = server(&now, "good").context("it is shown")?;
    assert_eq!((&good["kind"], &good["tools"]), (&json!("stdio"), &json!(1)));
    assert!(good["latency_ms"].is_number(), "{good}");
    assert_eq!(good["remarks"], json!(["tools: \"odd\": its input schema is not an object"]));
    let crash = server(&now, "crash").context("it is shown")?;
    assert_eq!(crash["last_error"], "it ended: exit status: 7: no luck");
    let far = server(&now, "far").context("it is shown")?;
    assert_eq!(far["last_error"], "connect to 127.0.0.1:9: connection refused");
    assert!(is(&now, "silent", "connecting"), "{now}");
    assert_eq!(daemon.stop().await?.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn a_reload_restarts_the_servers_that_changed_and_no_others() -> Result<()> {
    let scripts = Scripts::new()?;
    let (same, other) = (scripts.table("same", "server.sh"), scripts.table("other", "server.sh"));
    let daemon = Daemon::start(&[MOCK, &same, &other].concat()).await?;
    daemon.until(|now| is(now, "same", "live") && is(now, "other", "live")).await?;
    let (same_pid, other_pid) = (scripts.pid("same").await?, scripts.pid("other").await?);
    std::fs::remove_file(scripts.path("other.pid"))?;
    let changed = other.replace("[\"PATH\"]", "[\"PATH\", \"HOME\"]");
    daemon.home().configure(&[MOCK, &same, &changed].concat())?;
    let reloaded = daemon.reload().await?;
    assert_eq!(reloaded["settings"], json!(["[[servers]] other"]));
    ensure!(scripts.pid("other").await? != other_pid, "it is another process");
    daemon.until(|now| is(now, "other", "live")).await?;
    ensure!(runs(&same_pid) && scripts.pid("same").await? == same_pid, "it is the same process");

    daemon.home().configure(MOCK)?;
    daemon.reload().await?;
    let now = daemon.until(|now| now["servers"].is_null()).await?;
    ensure!(now["servers"].is_null());
    gone(&[same_pid, other_pid]).await?;
    assert_eq!(daemon.stop().await?.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn a_daemon_that_ends_leaves_no_program_behind() -> Result<()> {
    for killed in [false, true] {
        let scripts = Scripts::new()?;
        let mut tables = vec![MOCK.to_owned(), scripts.table("good", "server.sh")];
        let mut ids = vec!["good"];
        if !killed {
            // It would not notice that nobody is there any more.
            tables.push(scripts.table("silent", "silent.sh"));
            ids.push("silent");
        }
        let mut daemon = Daemon::start(&tables.concat()).await?;
        daemon.until(|now| is(now, "good", "live")).await?;
        let mut pids = Vec::new();
        for id in ids {
            pids.push(scripts.pid(id).await?);
        }
        if killed {
            daemon.signal(inferd_tests::Signal::KILL)?;
            daemon.ended().await?;
        } else {
            assert_eq!(daemon.stop().await?.code(), Some(0));
            ensure!(!pids.iter().any(|pid| runs(pid)), "something is left the moment the daemon has ended");
        }
        gone(&pids).await?;
    }
    Ok(())
}

/// Waits until none of these runs.
async fn gone(pids: &[String]) -> Result<()> {
    let begun = Instant::now();
    while pids.iter().any(|pid| runs(pid)) {
        ensure!(begun.elapsed() < PATIENCE, "something is left");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

//! Every call leaves a row, which outlives the daemon; a database that cannot be used costs rows and no request.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use inferd_daemon::audit::{Logged, Query, read};
use inferd_tests::{Daemon, Home, PATIENCE, Signal, request};
use tokio::time::{Instant, sleep};

const MOCK: &str = "[[backends]]\nname = \"m\"\nkind = \"mock\"\ntokens = [\"a\", \"b\"]\n";

fn state(home: &Home) -> PathBuf {
    home.runtime_dir().join(".local/state/inferd/state.db")
}

/// The rows, as soon as there are as many.
async fn rows(path: &Path, wanted: usize) -> Result<Vec<Logged>> {
    let begun = Instant::now();
    loop {
        let rows = read(path, &Query { since: None, count: 10_000 }).unwrap_or_default();
        if rows.len() >= wanted {
            return Ok(rows);
        }
        if begun.elapsed() > PATIENCE {
            bail!("{} rows come, not {wanted}", rows.len());
        }
        sleep(Duration::from_millis(1)).await;
    }
}

async fn ask(daemon: &Daemon, times: usize) -> Result<()> {
    let mut client = daemon.connect().await?;
    for n in 0..times {
        assert_eq!(client.terminal(&request(&n.to_string())).await?["content"], "ab");
    }
    Ok(())
}

#[tokio::test]
async fn rows_outlive_a_daemon_that_is_killed_and_the_next_one_adds_to_them() -> Result<()> {
    let home = Arc::new(Home::new(MOCK)?);
    for round in 1..=3 {
        let mut daemon = Daemon::start_in(&home).await?;
        ask(&daemon, 50).await?;
        let rows = rows(&state(&home), 50 * round).await?;
        assert_eq!(rows.len(), 50 * round);
        assert!(rows.iter().all(|row| row.outcome == "served" && row.completion_tokens == 2));
        daemon.signal(Signal::KILL)?;
        daemon.ended().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_daemon_that_stops_in_order_loses_no_row() -> Result<()> {
    let home = Arc::new(Home::new(MOCK)?);
    let daemon = Daemon::start_in(&home).await?;
    ask(&daemon, 50).await?;
    assert_eq!(daemon.stop().await?.code(), Some(0));
    assert_eq!(read(&state(&home), &Query { since: None, count: 100 })?.len(), 50);
    Ok(())
}

#[tokio::test]
async fn a_database_that_cannot_be_used_costs_rows_and_no_request() -> Result<()> {
    let broken: [fn(&Path) -> std::io::Result<()>; 3] = [
        |path| std::fs::write(path, "no database, ".repeat(1000)),
        |path| std::fs::create_dir(path),
        |path| std::os::unix::fs::symlink("/dev/full", path),
    ];
    for breaks in broken {
        let home = Arc::new(Home::new(MOCK)?);
        let path = state(&home);
        std::fs::create_dir_all(path.parent().expect("it is in a directory"))?;
        breaks(&path)?;
        let daemon = Daemon::start_in(&home).await?;
        ask(&daemon, 50).await?;
        assert_eq!(daemon.stop().await?.code(), Some(0));
    }
    Ok(())
}

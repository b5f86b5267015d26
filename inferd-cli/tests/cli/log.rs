//! Who asked for what, read back from what a daemon has kept.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::scripted::{ended, give, program};

const CONFIG: &str = r#"
[state]
path = "remembered.db"

[[backends]]
name = "tiny"
kind = "mock"
models = ["m"]
tokens = ["forty", "-two"]
"#;

fn home() -> TempDir {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("config.toml"), CONFIG).unwrap();
    dir
}

fn program_in(dir: &Path, args: &[&str]) -> Command {
    let mut command = program(args);
    command.env("INFERD_RUNTIME_DIR", dir).env("INFERD_CONFIG", dir.join("config.toml"));
    command
}

async fn ask(dir: &Path, question: &[&str]) {
    let mut child = program_in(dir, &[&["ask"], question].concat()).spawn().unwrap();
    give(&mut child, "").await;
    ended(child).await;
}

#[tokio::test]
async fn calls_are_shown_after_the_daemon_is_gone() {
    let dir = home();
    ask(dir.path(), &["why?"]).await;
    ask(dir.path(), &["why?", "--model", "other"]).await;
    let (status, stdout, stderr) = ended(program_in(dir.path(), &["log", "--json"]).spawn().unwrap()).await;
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    let rows: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said = |key| rows.iter().map(|row| row[key].as_str()).collect::<Vec<_>>();
    assert_eq!(said("outcome"), [Some("served"), Some("refused")]);
    assert_eq!(said("reason"), [None, Some("model_not_found")]);
    assert_eq!(said("lane"), [Some("tiny"), None]);

    let (_, stdout, _) =
        ended(program_in(dir.path(), &["log", "-n", "1", "--since", "1h"]).spawn().unwrap()).await;
    assert_eq!(stdout.lines().count(), 2, "a heading and the newest row: {stdout}");
    assert!(stdout.contains("refused (model_not_found)"), "{stdout}");
}

#[tokio::test]
async fn where_no_daemon_has_kept_anything_there_is_no_log() {
    let dir = home();
    let (status, stdout, stderr) = ended(program_in(dir.path(), &["log"]).spawn().unwrap()).await;
    assert_eq!((status, stdout.as_str()), (Some(10), ""));
    let path = dir.path().join("remembered.db");
    let wanted = format!("inferd-cli: there is no log at {}: no daemon has kept one\n", path.display());
    assert_eq!(stderr, wanted);
}

#[tokio::test]
async fn what_is_no_database_is_said_to_be_none() {
    let dir = home();
    std::fs::write(dir.path().join("remembered.db"), "no database").unwrap();
    let (status, stdout, stderr) = ended(program_in(dir.path(), &["log"]).spawn().unwrap()).await;
    assert_eq!((status, stdout.as_str()), (Some(9), ""));
    assert!(stderr.contains("file is not a database"), "{stderr}");
}

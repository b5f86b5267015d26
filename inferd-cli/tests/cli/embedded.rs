//! Where no daemon runs, one runs in the program itself.

use std::path::Path;

use inferd_daemon::lock::Lock;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::scripted::{Daemon, ended, give, program};

const CONFIG: &str = r#"
[[backends]]
name = "tiny"
kind = "mock"
models = ["m"]
tokens = ["forty", "-two"]
"#;

/// The program, as a user whose runtime directory is `dir`.
fn program_in(dir: &Path, args: &[&str]) -> Command {
    let mut command = program(args);
    command.env("INFERD_RUNTIME_DIR", dir).env("INFERD_CONFIG", dir.join("config.toml"));
    command
}

fn home(config: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("config.toml"), config).unwrap();
    dir
}

#[tokio::test]
async fn a_question_is_answered_by_a_daemon_of_its_own_which_ends_with_it() {
    let dir = home(CONFIG);
    let mut child = program_in(dir.path(), &["ask", "why?"]).spawn().unwrap();
    give(&mut child, "").await;
    let (status, stdout, stderr) = ended(child).await;
    assert_eq!((status, stdout.as_str()), (Some(0), "forty-two\n"));
    insta::assert_snapshot!(stderr, @r"
    no daemon is running: started one in this process
    inferd 0.3.0 · m on tiny
    ");
    assert!(!dir.path().join("infer.sock").exists(), "nothing is left behind but the lock's file");
}

#[tokio::test]
async fn a_chat_keeps_its_daemon_and_other_programs_may_use_it() {
    let dir = home(CONFIG);
    let mut host = program_in(dir.path(), &["chat"]).spawn().unwrap();
    let mut said = BufReader::new(host.stderr.take().unwrap()).lines();
    assert_eq!(said.next_line().await.unwrap().unwrap(), "no daemon is running: started one in this process");

    let mut guest = program_in(dir.path(), &["ask", "why?"]).spawn().unwrap();
    give(&mut guest, "").await;
    assert_eq!(ended(guest).await, (Some(0), "forty-two\n".into(), String::new()));
    let (status, stdout, _) = ended(program_in(dir.path(), &["status"]).spawn().unwrap()).await;
    assert_eq!(status, Some(0));
    assert!(stdout.contains("tiny  mock  passing  0        m\n"), "{stdout}");

    give(&mut host, "one?\ntwo?\n").await;
    assert_eq!(ended(host).await, (Some(0), "forty-two\nforty-two\n".into(), String::new()));
}

#[tokio::test]
async fn a_daemon_that_another_process_is_starting_is_waited_for() {
    let dir = home(CONFIG);
    let lock = Lock::acquire(dir.path().join("daemon.lock")).unwrap();
    let mut child = program_in(dir.path(), &["ask", "why?"]).spawn().unwrap();
    give(&mut child, "").await;
    let mut said = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    assert_eq!(said.next_line().await.unwrap().unwrap(), "a daemon is starting: waiting for it");
    let daemon = Daemon::listening_in(dir, "infer.sock");
    let mut talk = daemon.accept().await;
    let (_, id) = talk.request().await;
    talk.done(&id, "because", "end").await;
    assert_eq!(ended(child).await.1, "because\n");
    drop(lock);
}

#[tokio::test]
async fn a_chat_whose_daemon_is_gone_starts_one_for_the_next_line() {
    let dir = home(CONFIG);
    let mut command = program_in(dir.path(), &["chat"]);
    let daemon = Daemon::listening_in(dir, "infer.sock");
    let mut child = command.spawn().unwrap();
    give(&mut child, "one?\ntwo?\n").await;
    let mut talk = daemon.accept().await;
    talk.greets().await;
    talk.request().await;
    let dir = daemon.close().await;
    drop(talk);
    let (status, stdout, stderr) = ended(child).await;
    assert_eq!((status, stdout.as_str()), (Some(0), "forty-two\n"), "{stderr}");
    insta::assert_snapshot!(stderr, @r"
    inferd 0.3.0 · llama3.1:8b on ollama-11434
    error: the daemon closed the connection; the next message connects again
    no daemon is running: started one in this process
    inferd 0.3.0 · m on tiny
    ");
    drop(dir);
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_is_named_with_its_fault() {
    let dir = home("[admission]\nactiv = 1\n");
    let mut child = program_in(dir.path(), &["ask", "why?"]).spawn().unwrap();
    give(&mut child, "").await;
    let (status, _, stderr) = ended(child).await;
    assert_eq!(status, Some(2));
    insta::assert_snapshot!(stderr.replace(dir.path().to_str().unwrap(), "DIR"), @r"
    inferd-cli: no daemon is running and none can be started: cannot use DIR/config.toml: line 2: [admission] activ: unknown key, did you mean `active`?
    ");
}

//! A conversation down a pipe: the same as at a terminal, without its decorations.

use serde_json::{Value, json};

use crate::scripted::{Daemon, Talk, ended, give};

fn said(request: &Value) -> Vec<&str> {
    request["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["content"].as_str().unwrap())
        .collect()
}

async fn answers(talk: &mut Talk, answer: &str) -> Value {
    let (request, id) = talk.request().await;
    talk.token(&id, answer).await;
    talk.done(&id, answer, "end").await;
    request
}

#[tokio::test]
async fn each_line_is_a_turn_and_all_that_was_said_is_sent() {
    let daemon = Daemon::new();
    let mut child = daemon.run(&["chat", "--system", "be brief"]);
    give(&mut child, "one?\n\ntwo?\n/model m\n/system\n/new\nthree?").await;
    let mut talk = daemon.accept().await;
    talk.greets().await;
    let first = answers(&mut talk, "1").await;
    assert_eq!((said(&first), &first["priority"]), (vec!["be brief", "one?"], &json!("interactive")));
    assert_eq!(said(&answers(&mut talk, "zwölf\n").await), ["be brief", "one?", "1", "two?"]);
    talk.greets().await;
    let last = answers(&mut talk, "3").await;
    assert_eq!((said(&last), &last["model"]), (vec!["three?"], &json!("m")));
    let (status, stdout, stderr) = ended(child).await;
    assert_eq!((status, stdout.as_str()), (Some(0), "1\nzwölf\n3\n"));
    insta::assert_snapshot!(stderr, @r"
    inferd 0.3.0 · llama3.1:8b on ollama-11434
    inferd 0.3.0 · m, which it does not list
    no instructions
    a new conversation
    ");
}

#[tokio::test]
async fn a_turn_that_failed_is_taken_back_and_the_chat_goes_on() {
    let daemon = Daemon::new();
    let mut child = daemon.run(&["chat"]);
    give(&mut child, "one?\ntwo?\n").await;
    let mut talk = daemon.accept().await;
    talk.greets().await;
    let (_, id) = talk.request().await;
    talk.token(&id, "half").await;
    talk.says(json!({
        "type": "error", "id": id, "code": "queue_full", "message": "queue is full", "retry_after_ms": 2500,
        "queue": {"running": 4, "waiting": 64, "capacity": 64},
    }))
    .await;
    assert_eq!(said(&answers(&mut talk, "2").await), ["two?"]);
    let (status, stdout, stderr) = ended(child).await;
    assert_eq!((status, stdout.as_str()), (Some(0), "half\n2\n"));
    insta::assert_snapshot!(stderr, @r"
    inferd 0.3.0 · llama3.1:8b on ollama-11434
    error: the daemon is busy: 4 running, 64 waiting; try again in 3 s
    ");
}

#[tokio::test]
async fn a_daemon_that_vanished_is_said_and_dialled_again_with_the_next_line() {
    let daemon = Daemon::new();
    let mut child = daemon.run(&["chat"]);
    give(&mut child, "one?\ntwo?\nthree?\n").await;
    let mut talk = daemon.accept().await;
    talk.greets().await;
    answers(&mut talk, "1").await;
    talk.request().await;
    drop(talk);
    let mut talk = daemon.accept().await;
    assert_eq!(said(&answers(&mut talk, "3").await), ["one?", "1", "three?"]);
    let (status, stdout, stderr) = ended(child).await;
    assert_eq!((status, stdout.as_str()), (Some(0), "1\n3\n"));
    insta::assert_snapshot!(stderr, @r"
    inferd 0.3.0 · llama3.1:8b on ollama-11434
    error: the daemon closed the connection; the next message connects again
    ");
}

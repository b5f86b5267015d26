//! A task, done with tools.

use serde_json::{Value, json};

use crate::scripted::{Daemon, Talk, ended, give};

async fn tasked(daemon: &Daemon, features: &[&str]) -> (Talk, Value, String) {
    let mut talk = daemon.accept().await;
    talk.greets_with(features).await;
    let (request, id) = talk.request().await;
    (talk, request, id)
}

fn done(id: &str, content: &str) -> Value {
    json!({
        "type": "done", "id": id, "content": content, "stop_reason": "end", "backend": "local",
        "usage": {"prompt_tokens": 1, "completion_tokens": 1}, "thread": "t-1", "steps": 2,
    })
}

#[tokio::test]
async fn a_task_is_a_request_with_all_that_was_said_of_it_and_a_pipe_gets_the_answer_alone() {
    let daemon = Daemon::new();
    let mut child = daemon.run(&[
        "agent",
        "--server",
        "prod",
        "--room",
        "r1",
        "--thread",
        "t-1",
        "--max-steps",
        "3",
        "--model",
        "m",
        "--deadline-ms",
        "900",
        "do it",
    ]);
    give(&mut child, "with this").await;
    let (mut talk, request, id) = tasked(&daemon, &["agent", "servers"]).await;
    assert_eq!(
        request,
        json!({
            "id": id, "model": "m", "stream": false, "deadline_ms": 900,
            "messages": [{"role": "user", "content": "do it\n\nwith this"}],
            "agent": {"server": "prod", "room": "r1", "thread": "t-1", "max_steps": 3},
        })
    );
    talk.says(done(&id, "it is done")).await;
    assert_eq!(ended(child).await, (Some(0), "it is done\n".into(), String::new()));
}

#[tokio::test]
async fn without_a_server_a_daemon_that_has_none_is_enough() {
    let daemon = Daemon::new();
    let mut child = daemon.run(&["agent", "--json", "do it"]);
    give(&mut child, "").await;
    let (mut talk, request, id) = tasked(&daemon, &["agent"]).await;
    assert_eq!(request["agent"], json!({}));
    talk.says(done(&id, "it is done")).await;
    let (status, stdout, stderr) = ended(child).await;
    let printed: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((status, printed, stderr.as_str()), (Some(0), done(&id, "it is done"), ""));
}

#[tokio::test]
async fn a_task_that_fails_is_told_with_its_exit_code() {
    let daemon = Daemon::new();
    let mut child = daemon.run(&["agent", "--max-steps", "1", "do it"]);
    give(&mut child, "").await;
    let (mut talk, _, id) = tasked(&daemon, &["agent"]).await;
    talk.error(&id, "invalid_request", "agent.max_steps: no answer after 1 step").await;
    let (status, stdout, stderr) = ended(child).await;
    assert_eq!((status, stdout.as_str()), (Some(5), ""));
    insta::assert_snapshot!(stderr, @"inferd-cli: not accepted: agent.max_steps: no answer after 1 step");
}

#[tokio::test]
async fn without_a_task_there_is_nothing_to_do() {
    let daemon = Daemon::new();
    let mut child = daemon.run(&["agent"]);
    give(&mut child, " \n").await;
    let (status, _, stderr) = ended(child).await;
    assert_eq!(status, Some(2));
    insta::assert_snapshot!(stderr, @"inferd-cli: nothing to do: give a task as an argument or on standard input");
}

//! One question, many servers.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;

use crate::scripted::{Daemon, Talk, ended, give, interrupt};

/// The program asking, the daemon's side of it, and the id of each server's request.
async fn asking(daemon: &Daemon, args: &[&str]) -> (Child, Talk, HashMap<String, String>) {
    let mut child = daemon.run(&[&["ask", "why?", "--servers", "a,b,a,c"], args].concat());
    give(&mut child, "").await;
    let mut talk = daemon.accept().await;
    talk.greets_with(&["agent", "servers"]).await;
    let mut ids = HashMap::new();
    for server in ["a", "b", "c"] {
        let (request, id) = talk.request().await;
        assert_eq!(
            request,
            json!({
                "id": id, "messages": [{"role": "user", "content": "why?"}], "stream": false,
                "agent": {"server": server},
            })
        );
        ids.insert(server.to_owned(), id);
    }
    (child, talk, ids)
}

/// The next line of what the program says, so that nothing is sent before that.
async fn line(said: &mut Option<impl AsyncRead + Unpin>) -> String {
    let (said, mut line) = (said.as_mut().unwrap(), Vec::new());
    while line.last() != Some(&b'\n') {
        line.push(said.read_u8().await.unwrap());
    }
    String::from_utf8(line).unwrap()
}

#[tokio::test]
async fn all_answers_are_printed_under_their_names_as_they_come() {
    let daemon = Daemon::new();
    let (mut child, mut talk, ids) = asking(&daemon, &["--all"]).await;
    let mut printed = String::new();
    for (server, answer, stop_reason) in
        [("c", "third", "end"), ("a", "first", "length"), ("b", "second", "end")]
    {
        talk.done(&ids[server], answer, stop_reason).await;
        while !printed.ends_with(&format!("{answer}\n")) {
            printed += &line(&mut child.stdout).await;
        }
    }
    assert_eq!(ended(child).await, (Some(0), String::new(), String::new()));
    insta::assert_snapshot!(printed, @r"
    c:
    third

    a:
    first

    b:
    second
    ");
}

#[tokio::test]
async fn of_all_those_that_failed_are_named_and_the_exit_code_tells() {
    let daemon = Daemon::new();
    let (mut child, mut talk, ids) = asking(&daemon, &[]).await;
    talk.error(&ids["b"], "backend_unavailable", "connection refused").await;
    let mut said = line(&mut child.stderr).await;
    talk.done(&ids["a"], "half", "error").await;
    talk.done(&ids["c"], "whole", "end").await;
    let (status, stdout, stderr) = ended(child).await;
    assert_eq!((status, stdout.as_str()), (Some(1), "c:\nwhole\n"));
    said += &stderr;
    insta::assert_snapshot!(said, @r"
    inferd-cli: b: no model could answer: connection refused
    inferd-cli: a: the answer broke off
    ");
}

#[tokio::test]
async fn where_every_server_fails_the_first_says_how() {
    let daemon = Daemon::new();
    let (mut child, mut talk, ids) = asking(&daemon, &["--all"]).await;
    for (server, code) in [("c", "queue_full"), ("b", "internal"), ("a", "internal")] {
        talk.error(&ids[server], code, "the reason").await;
        line(&mut child.stderr).await;
    }
    let (status, stdout, _) = ended(child).await;
    assert_eq!((status, stdout.as_str()), (Some(3), ""));
}

#[tokio::test]
async fn any_prints_the_first_success_and_cancels_the_others() {
    let daemon = Daemon::new();
    let (mut child, mut talk, ids) = asking(&daemon, &["--any"]).await;
    talk.error(&ids["b"], "backend_unavailable", "connection refused").await;
    let failure = line(&mut child.stderr).await;
    talk.done(&ids["c"], "me first", "end").await;
    assert_eq!(talk.hears().await, json!({"type": "cancel", "id": ids["a"]}));
    talk.done(&ids["a"], "too la", "cancelled").await;
    assert_eq!(ended(child).await, (Some(0), "me first\n".into(), String::new()));
    insta::assert_snapshot!(failure, @"inferd-cli: b: no model could answer: connection refused");
}

#[tokio::test]
async fn a_daemon_that_does_not_answer_a_cancel_holds_nobody_up() {
    let daemon = Daemon::new();
    let (child, mut talk, ids) = asking(&daemon, &["--any"]).await;
    talk.done(&ids["a"], "me first", "end").await;
    for _ in ["b", "c"] {
        assert_eq!(talk.hears().await["type"], "cancel");
    }
    assert_eq!(ended(child).await, (Some(0), "me first\n".into(), String::new()));
}

#[tokio::test]
async fn where_none_succeeds_any_ends_as_the_last_did() {
    let daemon = Daemon::new();
    let (mut child, mut talk, ids) = asking(&daemon, &["--any", "--json"]).await;
    for (server, code) in [("c", "queue_full"), ("b", "internal"), ("a", "model_not_found")] {
        talk.error(&ids[server], code, "the reason").await;
        line(&mut child.stderr).await;
    }
    let (status, stdout, _) = ended(child).await;
    assert_eq!((status, stdout.as_str()), (Some(7), ""));
}

#[tokio::test]
async fn each_frame_is_a_line_with_its_server_where_json_is_wanted() {
    let daemon = Daemon::new();
    let (mut child, mut talk, ids) = asking(&daemon, &["--json"]).await;
    let mut lines: Vec<Value> = Vec::new();
    talk.done(&ids["c"], "third", "end").await;
    lines.push(serde_json::from_str(&line(&mut child.stdout).await).unwrap());
    talk.error(&ids["a"], "internal", "the reason").await;
    lines.push(serde_json::from_str(&line(&mut child.stdout).await).unwrap());
    talk.done(&ids["b"], "second", "end").await;
    let (status, stdout, _) = ended(child).await;
    lines.push(serde_json::from_str(&stdout).unwrap());
    let said: Vec<_> = lines.iter().map(|line| (&line["server"], &line["type"], &line["content"])).collect();
    assert_eq!(
        said,
        [
            (&json!("c"), &json!("done"), &json!("third")),
            (&json!("a"), &json!("error"), &Value::Null),
            (&json!("b"), &json!("done"), &json!("second")),
        ]
    );
    assert_eq!(status, Some(1));
}

#[tokio::test]
async fn ctrl_c_cancels_what_is_open() {
    let daemon = Daemon::new();
    let (mut child, mut talk, ids) = asking(&daemon, &["--all"]).await;
    talk.done(&ids["b"], "second", "end").await;
    let mut heading = [0; 2];
    child.stdout.as_mut().unwrap().read_exact(&mut heading).await.unwrap();
    assert_eq!(&heading, b"b:");
    interrupt(&child).await;
    let mut cancelled = Vec::new();
    for _ in ["a", "c"] {
        let cancel = talk.hears().await;
        assert_eq!(cancel["type"], "cancel");
        let id = cancel["id"].as_str().unwrap().to_owned();
        talk.done(&id, "", "cancelled").await;
        cancelled.push(id);
    }
    cancelled.sort();
    let mut open = [ids["a"].clone(), ids["c"].clone()];
    open.sort();
    assert_eq!(cancelled, open);
    assert_eq!(ended(child).await.0, Some(130));
}

//! A tool's name and arguments in, its result out.

use serde_json::{Value, json};

use crate::scripted::{Daemon, Talk, ended, give, interrupt, program};

/// A call that has been sent: the daemon's side, and what it heard.
async fn calling(daemon: &Daemon) -> (Talk, Value, String) {
    let mut talk = daemon.accept().await;
    talk.greets_with(&["servers"]).await;
    let (request, id) = talk.request().await;
    (talk, request, id)
}

fn called(id: &str, text: &str, is_error: bool) -> Value {
    json!({
        "type": "called", "id": id, "tool": "files::read", "is_error": is_error,
        "content": [{"type": "text", "text": text}],
    })
}

#[tokio::test]
async fn the_text_of_the_result_is_printed() {
    let daemon = Daemon::new();
    let child = daemon.run(&["call", "files::read", r#"{"path":"notes"}"#, "--deadline-ms", "900"]);
    let (mut talk, request, id) = calling(&daemon).await;
    assert_eq!(
        request,
        json!({"type": "call", "id": id, "tool": "files::read", "arguments": {"path": "notes"}, "deadline_ms": 900})
    );
    talk.says(json!({"type": "status", "id": id, "status": "calling", "tool": "files::read"})).await;
    talk.says(called(&id, "milk\neggs", false)).await;
    assert_eq!(ended(child).await, (Some(0), "milk\neggs\n".into(), String::new()));
}

#[tokio::test]
async fn arguments_are_an_empty_object_or_come_from_standard_input() {
    for (args, given, sent) in [
        (&["call", "files::read"][..], "not read", json!({})),
        (&["call", "files::read", "-"], "{\"path\":\n\"ü\"}\n", json!({"path": "ü"})),
    ] {
        let daemon = Daemon::new();
        let mut child = daemon.run(args);
        give(&mut child, given).await;
        let (mut talk, request, id) = calling(&daemon).await;
        assert_eq!(request["arguments"], sent);
        talk.says(called(&id, "x", false)).await;
        assert_eq!(ended(child).await.0, Some(0));
    }
}

#[tokio::test]
async fn arguments_that_are_no_object_are_not_sent() {
    let mut said = String::new();
    for (typed, given) in [("[1]", ""), ("{", ""), ("-", ""), ("-", "5")] {
        let mut child = program(&["call", "files::read", typed]).spawn().unwrap();
        give(&mut child, given).await;
        let (status, _, stderr) = ended(child).await;
        assert_eq!(status, Some(2));
        said.push_str(&stderr);
    }
    insta::assert_snapshot!(said, @r"
    inferd-cli: the arguments are no JSON object: invalid type: sequence, expected a map at line 1 column 0
    inferd-cli: the arguments are no JSON object: EOF while parsing an object at line 1 column 1
    inferd-cli: the arguments are no JSON object: EOF while parsing a value at line 1 column 0
    inferd-cli: the arguments are no JSON object: invalid type: integer `5`, expected a map at line 1 column 1
    ");
}

#[tokio::test]
async fn a_tool_that_failed_says_why_and_is_an_exit_code() {
    let daemon = Daemon::new();
    let child = daemon.run(&["call", "files::read"]);
    let (mut talk, _, id) = calling(&daemon).await;
    talk.says(called(&id, "no such\nfile\u{1b}[0m\n", true)).await;
    let (status, stdout, stderr) = ended(child).await;
    assert_eq!((status, stdout.as_str()), (Some(1), ""));
    insta::assert_snapshot!(stderr, @"inferd-cli: files::read failed: no such file [0m");
}

#[tokio::test]
async fn the_frame_is_printed_whole_where_json_is_wanted_failed_or_not() {
    for (is_error, exit) in [(false, 0), (true, 1)] {
        let daemon = Daemon::new();
        let child = daemon.run(&["call", "files::read", "--json"]);
        let (mut talk, _, id) = calling(&daemon).await;
        let frame = called(&id, "x", is_error);
        talk.says(frame.clone()).await;
        let (status, stdout, stderr) = ended(child).await;
        let printed: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!((status, printed, stderr.as_str()), (Some(exit), frame, ""));
    }
}

#[tokio::test]
async fn a_call_that_is_refused_is_told_with_its_exit_code() {
    let mut said = String::new();
    for (code, exit, message) in [
        ("invalid_request", 5, "tool: no tool `files::read`"),
        ("backend_unavailable", 4, "files: connection refused"),
        ("deadline_exceeded", 6, "no result within 900 ms"),
    ] {
        let daemon = Daemon::new();
        let child = daemon.run(&["call", "files::read"]);
        let (mut talk, _, id) = calling(&daemon).await;
        talk.error(&id, code, message).await;
        let (status, stdout, stderr) = ended(child).await;
        assert_eq!((status, stdout.as_str()), (Some(exit), ""));
        said.push_str(&stderr);
    }
    insta::assert_snapshot!(said, @r"
    inferd-cli: not accepted: tool: no tool `files::read`
    inferd-cli: the tool cannot be called: files: connection refused
    inferd-cli: not answered in time: no result within 900 ms
    ");
}

#[tokio::test]
async fn ctrl_c_ends_the_call() {
    let daemon = Daemon::new();
    let child = daemon.run(&["call", "files::read"]);
    let (mut talk, _, id) = calling(&daemon).await;
    interrupt(&child).await;
    // A cancel, or the end of the connection, which is one.
    assert!(talk.line().await.is_none_or(|line| line == json!({"type": "cancel", "id": id})));
    assert_eq!(ended(child).await, (Some(130), String::new(), String::new()));
}

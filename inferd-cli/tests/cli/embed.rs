//! Texts in, vectors out.

use serde_json::{Value, json};

use crate::scripted::{Daemon, Talk, ended, give, interrupt, program};

/// Hears a request for vectors and answers it with one for each text: its length.
async fn embeds(talk: &mut Talk) -> Value {
    let (request, id) = talk.request().await;
    assert_eq!(request["type"], "embed");
    let texts = request["input"].as_array().unwrap();
    let vectors: Vec<Value> = texts.iter().map(|text| json!([text.as_str().unwrap().len(), 0.1])).collect();
    talk.says(json!({
        "type": "embeddings", "id": id, "embeddings": vectors, "dimensions": 2, "model": "m-1",
        "usage": {"prompt_tokens": 5}, "backend": "local",
    }))
    .await;
    request
}

#[tokio::test]
async fn each_text_becomes_a_line() {
    let daemon = Daemon::new();
    let mut child = daemon.run(&["embed", "one", "three", "--model", "m", "--dimensions", "2"]);
    give(&mut child, "not read").await;
    let mut talk = daemon.accept().await;
    let request = embeds(&mut talk).await;
    let id = &request["id"];
    assert_eq!(
        request,
        json!({"type": "embed", "id": id, "input": ["one", "three"], "model": "m", "dimensions": 2})
    );
    assert_eq!(ended(child).await, (Some(0), "[3.0,0.1]\n[5.0,0.1]\n".into(), String::new()));
}

#[tokio::test]
async fn without_arguments_each_line_of_standard_input_is_a_text() {
    let daemon = Daemon::new();
    let mut child = daemon.run(&["embed"]);
    give(&mut child, "one\r\n three \nzwölf").await;
    let mut talk = daemon.accept().await;
    assert_eq!(embeds(&mut talk).await["input"], json!(["one", " three ", "zwölf"]));
    let (status, stdout, _) = ended(child).await;
    assert_eq!((status, stdout.lines().count()), (Some(0), 3));
}

#[tokio::test]
async fn the_frame_is_printed_whole_where_json_is_wanted() {
    let daemon = Daemon::new();
    let child = daemon.run(&["embed", "--json", "one"]);
    let mut talk = daemon.accept().await;
    let id = embeds(&mut talk).await["id"].clone();
    let (status, stdout, _) = ended(child).await;
    let frame: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(status, Some(0));
    assert_eq!(
        frame,
        json!({
            "type": "embeddings", "id": id, "embeddings": [[3.0, 0.1]], "dimensions": 2, "model": "m-1",
            "usage": {"prompt_tokens": 5}, "backend": "local",
        })
    );
}

#[tokio::test]
async fn more_texts_than_a_daemon_takes_at_once_are_sent_in_parts() {
    let daemon = Daemon::new();
    let mut child = daemon.run(&["embed"]);
    give(&mut child, &"text\n".repeat(2049)).await;
    let mut talk = daemon.accept().await;
    let mut parts = Vec::new();
    for _ in 0..2 {
        parts.push(embeds(&mut talk).await["input"].as_array().unwrap().len());
    }
    assert_eq!(parts, [2048, 1]);
    let (status, stdout, _) = ended(child).await;
    assert_eq!((status, stdout.lines().count()), (Some(0), 2049));
}

#[tokio::test]
async fn a_refusal_is_told_with_its_exit_code() {
    let daemon = Daemon::new();
    let child = daemon.run(&["embed", "one"]);
    let mut talk = daemon.accept().await;
    let (_, id) = talk.request().await;
    talk.says(json!({
        "type": "error", "id": id, "code": "queue_full", "message": "queue is full", "retry_after_ms": 2500,
        "queue": {"running": 4, "waiting": 64, "capacity": 64},
    }))
    .await;
    let (status, stdout, stderr) = ended(child).await;
    assert_eq!((status, stdout.as_str()), (Some(3), ""));
    insta::assert_snapshot!(stderr, @"inferd-cli: the daemon is busy: 4 running, 64 waiting; try again in 3 s");
}

#[tokio::test]
async fn texts_that_are_none_are_not_sent() {
    let mut said = String::new();
    for (args, stdin) in [(&["embed"][..], ""), (&["embed"], "one\n\nthree\n"), (&["embed", "one", ""], "")] {
        let mut child = program(args).spawn().unwrap();
        give(&mut child, stdin).await;
        let (status, _, stderr) = ended(child).await;
        assert_eq!(status, Some(2));
        said.push_str(&stderr);
    }
    insta::assert_snapshot!(said, @r"
    inferd-cli: nothing to embed: give texts as arguments or lines on standard input
    inferd-cli: text 2 is empty
    inferd-cli: text 2 is empty
    ");
}

#[tokio::test]
async fn ctrl_c_ends_the_request() {
    let daemon = Daemon::new();
    let child = daemon.run(&["embed", "one"]);
    let mut talk = daemon.accept().await;
    let (_, id) = talk.request().await;
    interrupt(&child).await;
    // A cancel, or the end of the connection, which is one.
    assert!(talk.line().await.is_none_or(|line| line == json!({"type": "cancel", "id": id})));
    assert_eq!(ended(child).await, (Some(130), String::new(), String::new()));
}

//! One prompt, one answer, one exit code.

use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::scripted::{Daemon, Talk, ended, give, interrupt, output, program};

#[tokio::test]
async fn the_answer_goes_to_standard_output_as_it_comes_and_nothing_else_does() {
    let daemon = Daemon::new();
    let mut child = daemon.run(&["ask", "why?", "--system", "be brief", "--max-tokens", "9", "--model", "m"]);
    give(&mut child, "the context\n").await;
    let mut talk = daemon.accept().await;
    let (request, id) = talk.request().await;
    assert_eq!(
        request,
        json!({
            "id": id, "model": "m", "max_tokens": 9,
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": "why?\n\nthe context\n"},
            ],
        })
    );
    talk.token(&id, "be").await;
    let mut first = [0; 2];
    child.stdout.as_mut().unwrap().read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"be", "it is shown before the answer is complete");
    talk.token(&id, "cause").await;
    talk.done(&id, "because", "end").await;
    assert_eq!(ended(child).await, (Some(0), "cause\n".into(), String::new()));
}

#[tokio::test]
async fn every_error_has_its_exit_code_and_says_what_it_means() {
    let daemon = Daemon::new();
    let mut said = String::new();
    for (code, exit) in [
        ("queue_full", 3),
        ("backend_unavailable", 4),
        ("invalid_request", 5),
        ("deadline_exceeded", 6),
        ("model_not_found", 7),
        ("frame_too_large", 8),
        ("internal", 9),
    ] {
        let mut child = daemon.run(&["ask", "why?"]);
        give(&mut child, "").await;
        let mut talk = daemon.accept().await;
        let (_, id) = talk.request().await;
        talk.error(&id, code, "the reason").await;
        let (status, stdout, stderr) = ended(child).await;
        assert_eq!((status, stdout.as_str()), (Some(exit), ""), "{code}");
        said.push_str(&stderr);
    }
    insta::assert_snapshot!(said, @r"
    inferd-cli: the daemon is busy: the reason
    inferd-cli: no model could answer: the reason
    inferd-cli: not accepted: the reason
    inferd-cli: not answered in time: the reason
    inferd-cli: no such model: the reason
    inferd-cli: too large: the reason
    inferd-cli: a fault of the daemon: the reason
    ");
}

#[tokio::test]
async fn the_final_frame_is_printed_whole_where_json_is_wanted() {
    let daemon = Daemon::new();
    let mut child = daemon.run(&["ask", "--json", "why?"]);
    give(&mut child, "").await;
    let mut talk = daemon.accept().await;
    let (request, id) = talk.request().await;
    assert_eq!(request["stream"], false);
    talk.done(&id, "because", "end").await;
    let (status, stdout, _) = ended(child).await;
    let frame: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((status, &frame["type"], &frame["content"]), (Some(0), &json!("done"), &json!("because")));
}

#[tokio::test]
async fn an_answer_that_is_not_streamed_is_printed_at_its_end() {
    let daemon = Daemon::new();
    let mut child = daemon.run(&["ask", "--no-stream", "why?"]);
    give(&mut child, "").await;
    let mut talk = daemon.accept().await;
    let (_, id) = talk.request().await;
    talk.done(&id, "because", "end").await;
    assert_eq!(ended(child).await, (Some(0), "because\n".into(), String::new()));
}

#[tokio::test]
async fn ctrl_c_ends_the_request_keeps_what_came_and_exits_130() {
    let daemon = Daemon::new();
    let mut child = daemon.run(&["ask", "why?"]);
    give(&mut child, "").await;
    let mut talk = daemon.accept().await;
    let (_, id) = talk.request().await;
    talk.token(&id, "be").await;
    let mut first = [0; 2];
    child.stdout.as_mut().unwrap().read_exact(&mut first).await.unwrap();
    interrupt(&child).await;
    assert_eq!(talk.hears().await, json!({"type": "cancel", "id": id}));
    talk.done(&id, "be", "cancelled").await;
    assert_eq!(ended(child).await, (Some(130), "\n".into(), String::new()));
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_ends_the_request_quietly() {
    let daemon = Daemon::new();
    let mut child = daemon.run(&["ask", "why?"]);
    give(&mut child, "").await;
    drop(child.stdout.take());
    let mut talk = daemon.accept().await;
    let (_, id) = talk.request().await;
    talk.token(&id, "be").await;
    // A cancel, or the end of the connection, which is one.
    assert!(matches!(talk.line().await, None | Some(serde_json::Value::Object(_))));
    let output = output(child).await;
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[tokio::test]
async fn without_a_prompt_there_is_nothing_to_ask() {
    let daemon = Daemon::new();
    let mut child = daemon.run(&["ask"]);
    give(&mut child, " \n").await;
    let (status, _, stderr) = ended(child).await;
    assert_eq!(status, Some(2));
    insta::assert_snapshot!(stderr, @"inferd-cli: nothing to ask: give a prompt as an argument or on standard input");
}

#[tokio::test]
async fn a_daemon_that_was_named_and_is_not_there_is_not_replaced() {
    let mut child = program(&["ask", "why?", "--connect", "/nonexistent/infer.sock"]).spawn().unwrap();
    give(&mut child, "").await;
    let (status, _, stderr) = ended(child).await;
    assert_eq!(status, Some(10));
    insta::assert_snapshot!(stderr, @"inferd-cli: cannot connect to /nonexistent/infer.sock: No such file or directory (os error 2)");
}

#[tokio::test]
async fn a_daemon_that_goes_away_is_missed() {
    let daemon = Daemon::new();
    let mut child = daemon.run(&["ask", "why?"]);
    give(&mut child, "").await;
    let mut talk = daemon.accept().await;
    let (_, id) = talk.request().await;
    talk.token(&id, "be").await;
    drop(talk);
    assert_eq!(
        ended(child).await,
        (Some(10), "be\n".into(), "inferd-cli: the daemon closed the connection\n".into())
    );
}

#[tokio::test]
async fn a_key_that_is_not_set_is_named() {
    let args = ["ask", "why?", "--connect", "tcp://127.0.0.1:1", "--api-key-env", "INFERD_NO_SUCH_KEY"];
    let mut child = program(&args).spawn().unwrap();
    give(&mut child, "").await;
    let (status, _, stderr) = ended(child).await;
    assert_eq!(status, Some(2));
    insta::assert_snapshot!(stderr, @"inferd-cli: --api-key-env: the environment variable INFERD_NO_SUCH_KEY is not set");
}

#[tokio::test]
async fn a_key_is_the_first_line_on_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let mut command = program(&["ask", "why?", "--connect", &address, "--api-key-env", "THE_KEY"]);
    let mut child = command.env("THE_KEY", "secret").spawn().unwrap();
    give(&mut child, "").await;
    let mut talk = Talk::over(listener.accept().await.unwrap().0);
    assert_eq!(talk.hears().await, json!({"type": "auth", "key": "secret"}));
    let (_, id) = talk.request().await;
    talk.done(&id, "because", "end").await;
    assert_eq!(ended(child).await, (Some(0), "because\n".into(), String::new()));
}

//! Programs written for the published protocol v1 go on working: its own client crate against the built daemon.
#![cfg(unix)]

use anyhow::{Context, Result, bail, ensure};
use futures_util::StreamExt;
use inferd_client::{
    AdminClient, Client, ErrorCode, FrameStream, Message, Request, Response, Role, StopReason,
};
use inferd_tests::{Daemon, Signal, free_address};

const MOCK: &str = r#"
[[backends]]
name = "m"
kind = "mock"
tokens = ["a", "b", "ü"]
"#;

fn request(id: &str) -> Request {
    let message = Message { role: Role::User, content: "hello".into() };
    Request { id: id.into(), messages: vec![message], ..Request::default() }
}

/// Reads an answer to its end and holds every frame to the request it belongs to.
async fn answer(id: &str, mut stream: FrameStream) -> Result<(Vec<String>, Response)> {
    let mut tokens = Vec::new();
    while let Some(frame) = stream.next().await {
        let frame = frame?;
        ensure!(frame.id() == id, "a frame of another request: {frame:?}");
        match frame {
            Response::Token { content, .. } => tokens.push(content),
            Response::Done { .. } | Response::Error { .. } => return Ok((tokens, frame)),
            Response::Status { .. } => bail!("v1 has no status frames on this socket: {frame:?}"),
        }
    }
    bail!("the stream ended without a terminal frame")
}

async fn ask(client: &mut Client, request: Request) -> Result<(Vec<String>, Response)> {
    let id = request.id.clone();
    let stream = client.generate(request).await?;
    answer(&id, stream).await
}

fn assert_whole(tokens: &[String], last: &Response) {
    assert_eq!(tokens, ["a", "b", "ü"]);
    let Response::Done { content, usage, stop_reason, backend, .. } = last else {
        panic!("{last:?} where done was due");
    };
    assert_eq!(content, "abü");
    assert_eq!(usage.completion_tokens, 3);
    assert_eq!(*stop_reason, StopReason::End);
    assert_eq!(backend, "m");
}

fn error_code(last: &Response) -> Result<ErrorCode> {
    match last {
        Response::Error { code, .. } => Ok(*code),
        other => bail!("{other:?} where an error was due"),
    }
}

#[tokio::test]
async fn several_requests_one_after_another_on_a_unix_socket_stream_to_done() -> Result<()> {
    let daemon = Daemon::start(MOCK).await?;
    let mut client = Client::dial_uds(&daemon.socket()).await?;
    for id in ["first", "second", "third"] {
        let (tokens, last) = ask(&mut client, request(id)).await?;
        assert_whole(&tokens, &last);
    }
    Ok(())
}

#[tokio::test]
async fn requests_over_tcp_stream_to_done() -> Result<()> {
    let tcp = free_address()?;
    let daemon = Daemon::start(&format!("[listen]\ntcp = \"{tcp}\"\n{MOCK}")).await?;
    let mut client = Client::dial_tcp(&daemon.tcp()?.to_string()).await?;
    for id in ["first", "second"] {
        let (tokens, last) = ask(&mut client, request(id)).await?;
        assert_whole(&tokens, &last);
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_that_is_not_streamed_is_one_done_frame() -> Result<()> {
    let daemon = Daemon::start(MOCK).await?;
    let mut client = Client::dial_uds(&daemon.socket()).await?;
    let (tokens, last) = ask(&mut client, Request { stream: Some(false), ..request("whole") }).await?;
    assert!(tokens.is_empty(), "{tokens:?}");
    let Response::Done { content, .. } = last else { panic!("{last:?} where done was due") };
    assert_eq!(content, "abü");
    Ok(())
}

#[tokio::test]
async fn an_invalid_request_is_an_error_and_the_connection_goes_on() -> Result<()> {
    let daemon = Daemon::start(MOCK).await?;
    let mut client = Client::dial_uds(&daemon.socket()).await?;

    let (_, last) = ask(&mut client, Request { messages: Vec::new(), ..request("empty") }).await?;
    assert_eq!(error_code(&last)?, ErrorCode::InvalidRequest);

    let (_, last) = ask(&mut client, Request { image_token_budget: Some(71), ..request("budget") }).await?;
    assert_eq!(error_code(&last)?, ErrorCode::InvalidRequest);

    let (tokens, last) = ask(&mut client, request("valid")).await?;
    assert_whole(&tokens, &last);
    Ok(())
}

#[tokio::test]
async fn a_request_past_both_limits_is_refused_with_queue_full() -> Result<()> {
    let daemon = Daemon::start(
        r#"
        [admission]
        active = 1
        queue_depth = 0
        [[backends]]
        name = "m"
        kind = "mock"
        tokens = ["a", "b", "ü"]
        token_delay_ms = 100
        "#,
    )
    .await?;
    let mut running = Client::dial_uds(&daemon.socket()).await?;
    let mut stream = running.generate(request("running")).await?;
    let first = stream.next().await.context("no first token")??;
    assert!(matches!(first, Response::Token { ref content, .. } if content == "a"), "{first:?}");

    let mut refused = Client::dial_uds(&daemon.socket()).await?;
    let (_, last) = ask(&mut refused, request("refused")).await?;
    assert_eq!(error_code(&last)?, ErrorCode::QueueFull);

    let (rest, last) = answer("running", stream).await?;
    assert_eq!(rest, ["b", "ü"]);
    assert!(matches!(last, Response::Done { .. }), "{last:?}");
    Ok(())
}

#[tokio::test]
async fn the_admin_client_sees_ready_and_then_draining() -> Result<()> {
    let daemon = Daemon::start(MOCK).await?;
    let mut admin = AdminClient::dial_admin_uds(&daemon.admin_socket()).await?;
    let ready = admin.wait_ready().await?;
    assert_eq!((ready.id.as_str(), ready.kind.as_str()), ("admin", "status"));

    daemon.signal(Signal::TERM)?;
    while admin.recv().await.context("closed before it said draining")?.status != "draining" {}
    Ok(())
}

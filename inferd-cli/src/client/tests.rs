//! The client against a daemon that follows a script, over `tokio::io::duplex`.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use inferd_proto::{EmbedRequest, ErrorCode, Message, Request, Response, Role, StopReason};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::time::timeout;

use super::*;

mod calls;
mod vectors;

/// Nothing here takes as long; a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// The daemon's end of one connection.
struct Script(BufReader<DuplexStream>);

impl Script {
    async fn hears(&mut self) -> Value {
        let mut line = String::new();
        timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("nothing is said").unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("expected a line, got {line:?}"))
    }

    async fn says(&mut self, frame: Value) {
        let line = format!("{frame}\n");
        self.0.write_all(line.as_bytes()).await.unwrap();
    }

    async fn token(&mut self, id: &str, content: &str) {
        self.says(json!({"type": "token", "id": id, "content": content})).await;
    }

    async fn done(&mut self, id: &str, content: &str, stop_reason: &str) {
        let usage = json!({"prompt_tokens": 1, "completion_tokens": 1});
        self.says(json!({
            "type": "done", "id": id, "content": content, "usage": usage,
            "stop_reason": stop_reason, "backend": "mock",
        }))
        .await;
    }
}

/// A client that dials these many scripted daemons, one after the other.
fn client(connections: usize) -> (Client, Vec<Script>) {
    let (ours, theirs): (VecDeque<_>, Vec<_>) = (0..connections)
        .map(|_| duplex(1 << 16))
        .map(|(ours, theirs)| (ours, Script(BufReader::new(theirs))))
        .unzip();
    let ours = Arc::new(Mutex::new(ours));
    let dial: Dial = Box::new(move || {
        let next = ours.lock().unwrap().pop_front();
        Box::pin(async move {
            let absent = || ClientError::Connect {
                address: Address::Local("scripted".into()),
                source: io::ErrorKind::ConnectionRefused.into(),
            };
            next.map(|io| Box::new(io) as _).ok_or_else(absent)
        })
    });
    (Client::new(dial), theirs)
}

fn request(id: &str) -> Request {
    let messages = vec![Message { role: Role::User, content: "hi".into() }];
    Request { id: id.into(), messages, ..Request::default() }
}

/// Reads an answer to its end: its text, and how it ended.
async fn read(mut answer: Answer) -> (String, Result<Response, ClientError>) {
    let mut text = String::new();
    loop {
        match answer.next().await.expect("an answer ends with its terminal frame or an error") {
            Ok(Response::Token { content, .. }) => text.push_str(&content),
            Ok(Response::Status { .. }) => {}
            end => {
                assert!(answer.next().await.is_none(), "nothing follows the end");
                return (text, end);
            }
        }
    }
}

#[tokio::test]
async fn answers_open_at_once_each_get_their_own_frames_in_order() {
    let (client, mut daemons) = client(1);
    let (a, b) = (client.generate(request("a")).await.unwrap(), client.generate(request("b")).await.unwrap());
    let daemon = &mut daemons[0];
    assert_eq!(
        (daemon.hears().await["id"].clone(), daemon.hears().await["id"].clone()),
        (json!("a"), json!("b"))
    );
    for (id, content) in [("b", "1"), ("a", "x"), ("b", "2"), ("a", "y")] {
        daemon.token(id, content).await;
    }
    daemon.done("b", "12", "end").await;
    daemon.done("a", "xy", "end").await;
    // The first is read last: what it did not read yet keeps nobody waiting.
    let ((text_b, end_b), (text_a, end_a)) = (read(b).await, read(a).await);
    assert_eq!((text_a.as_str(), text_b.as_str()), ("xy", "12"));
    assert!(end_a.unwrap().is_terminal() && end_b.unwrap().is_terminal());
}

#[tokio::test]
async fn a_request_without_an_id_is_given_one_of_its_own() {
    let (client, mut daemons) = client(1);
    let (a, b) = (client.generate(request("")).await.unwrap(), client.generate(request("")).await.unwrap());
    assert_ne!(a.id(), b.id());
    assert_eq!(daemons[0].hears().await["id"], a.id());
}

#[tokio::test]
async fn an_id_that_is_open_is_refused_until_its_terminal_frame() {
    let (client, mut daemons) = client(1);
    let first = client.generate(request("a")).await.unwrap();
    assert!(matches!(client.generate(request("a")).await, Err(ClientError::IdInUse(id)) if id == "a"));
    drop(first);
    assert!(client.generate(request("a")).await.is_err(), "the daemon still knows it");
    let daemon = &mut daemons[0];
    daemon.hears().await;
    assert_eq!(daemon.hears().await, json!({"type": "cancel", "id": "a"}));
    daemon.done("a", "", "cancelled").await;
    daemon
        .says(json!({"type": "hello", "protocol": 1, "version": "0", "features": [], "models": [],
        "limits": {"frame_bytes_max": 1, "open_requests_max": 1, "active": 1, "queue_depth": 1}}))
        .await;
    client.hello().await.unwrap();
    let again = client.generate(request("a")).await.unwrap();
    daemon.hears().await;
    daemon.hears().await;
    daemon.done("a", "fresh", "end").await;
    assert!(matches!(read(again).await.1, Ok(Response::Done { content, .. }) if content == "fresh"));
}

#[tokio::test]
async fn dropping_an_unfinished_answer_sends_its_cancel_and_a_finished_one_sends_none() {
    let (client, mut daemons) = client(1);
    let daemon = &mut daemons[0];
    let finished = client.generate(request("done")).await.unwrap();
    daemon.hears().await;
    daemon.done("done", "", "end").await;
    read(finished).await.1.unwrap();
    drop(client.generate(request("left")).await.unwrap());
    assert_eq!(daemon.hears().await["id"], "left", "the request goes before its cancel");
    assert_eq!(daemon.hears().await, json!({"type": "cancel", "id": "left"}));
}

#[tokio::test]
async fn a_cancelled_answer_ends_with_what_was_generated() {
    let (client, mut daemons) = client(1);
    let mut answer = client.generate(request("a")).await.unwrap();
    let daemon = &mut daemons[0];
    daemon.hears().await;
    answer.cancel();
    answer.cancel();
    assert_eq!(daemon.hears().await, json!({"type": "cancel", "id": "a"}));
    daemon.done("a", "so far", "cancelled").await;
    let (_, end) = read(answer).await;
    assert!(
        matches!(end, Ok(Response::Done { content, stop_reason: StopReason::Cancelled, .. }) if content == "so far")
    );
    drop(client);
    let mut rest = String::new();
    daemons[0].0.read_line(&mut rest).await.unwrap();
    assert_eq!(rest, "", "one cancel is enough");
}

#[tokio::test]
async fn a_broken_connection_fails_what_is_open_and_the_next_request_dials_again() {
    let (client, mut daemons) = client(2);
    let open = client.generate(request("a")).await.unwrap();
    let mut first = daemons.remove(0);
    first.hears().await;
    first.token("a", "half").await;
    drop(first);
    let (text, end) = read(open).await;
    assert_eq!(text, "half");
    assert!(matches!(end, Err(ClientError::Broken(Broken::Closed))));

    let next = client.generate(request("b")).await.unwrap();
    let second = &mut daemons[0];
    assert_eq!(second.hears().await["id"], "b", "the broken request is not sent again");
    second.done("b", "", "end").await;
    read(next).await.1.unwrap();
    drop(daemons);
    client.hello().await.unwrap_err();
    assert!(client.generate(request("c")).await.err().unwrap().is_absent(), "nobody is left to dial");
}

#[tokio::test]
async fn a_daemon_that_hangs_up_without_a_word_may_have_been_given_a_wrong_key() {
    let (client, mut daemons) = client(1);
    let open = client.generate(request("a")).await.unwrap();
    daemons[0].hears().await;
    drop(daemons);
    assert!(matches!(read(open).await.1, Err(ClientError::Broken(Broken::Unheard))));
}

#[tokio::test]
async fn what_the_daemon_said_before_it_hung_up_still_counts() {
    // Reading and writing fail in either order, so once is not enough.
    for _ in 0..20 {
        let (client, mut daemons) = client(1);
        let answered = client.generate(request("a")).await.unwrap();
        let mut daemon = daemons.remove(0);
        daemon.hears().await;
        daemon.done("a", "", "end").await;
        drop(daemon);
        let unanswered = client.generate(request("b")).await.unwrap();
        assert!(matches!(read(answered).await.1, Ok(Response::Done { .. })));
        assert!(matches!(read(unanswered).await.1, Err(ClientError::Broken(_))));
    }
}

#[tokio::test]
async fn an_error_that_names_no_request_ends_the_only_one_open() {
    let (client, mut daemons) = client(1);
    let open = client.generate(request("a")).await.unwrap();
    daemons[0].hears().await;
    let too_large =
        json!({"type": "error", "id": "", "code": "frame_too_large", "message": "frame exceeds 9 bytes"});
    daemons[0].says(too_large).await;
    assert!(matches!(read(open).await.1, Ok(Response::Error { code: ErrorCode::FrameTooLarge, .. })));
}

#[tokio::test]
async fn an_error_that_names_none_of_several_is_why_all_of_them_break() {
    let (client, mut daemons) = client(1);
    let (a, b) = (client.generate(request("a")).await.unwrap(), client.generate(request("b")).await.unwrap());
    let mut daemon = daemons.remove(0);
    daemon.hears().await;
    daemon.says(json!({"type": "error", "id": "", "code": "frame_too_large", "message": "too large"})).await;
    drop(daemon);
    for answer in [a, b] {
        let end = read(answer).await.1;
        assert!(matches!(end, Err(ClientError::Broken(Broken::Said { code: ErrorCode::FrameTooLarge, .. }))));
    }
}

#[tokio::test]
async fn a_daemon_that_knows_no_hello_says_so_and_serves_on() {
    let (client, mut daemons) = client(1);
    let daemon = &mut daemons[0];
    let open = client.generate(request("a")).await.unwrap();
    let (hello, ()) = tokio::join!(client.hello(), async {
        daemon.hears().await;
        assert_eq!(daemon.hears().await, json!({"type": "hello"}));
        daemon.says(json!({"type": "error", "id": "", "code": "invalid_request", "message": "no"})).await;
    });
    assert!(matches!(hello, Err(ClientError::NoHello(reason)) if reason == "no"));
    daemon.done("a", "", "end").await;
    read(open).await.1.unwrap();
}

#[tokio::test]
async fn frames_of_a_later_protocol_are_passed_over_and_what_is_no_json_is_not() {
    let (client, mut daemons) = client(1);
    let open = client.generate(request("a")).await.unwrap();
    let daemon = &mut daemons[0];
    daemon.hears().await;
    daemon.says(json!({"type": "weather", "id": "a", "sun": true})).await;
    daemon.token("a", "still here").await;
    daemon.0.write_all(b"HTTP/1.1 400 Bad Request\r\n").await.unwrap();
    let (text, end) = read(open).await;
    assert_eq!(text, "still here");
    assert!(matches!(end, Err(ClientError::Broken(Broken::NotProtocol(_)))));
}

#[tokio::test(start_paused = true)]
async fn an_answer_nobody_reads_holds_no_more_than_it_may_until_it_is_dropped() {
    let (client, mut daemons) = client(1);
    let (unread, read_on) =
        (client.generate(request("unread")).await.unwrap(), client.generate(request("read")).await.unwrap());
    let mut daemon = daemons.remove(0);
    let flood = async {
        let piece = "x".repeat(1 << 12);
        let mut bytes = 0;
        while bytes < 4 * ANSWER_BYTES_MAX as usize
            && timeout(Duration::from_secs(1), daemon.token("unread", &piece)).await.is_ok()
        {
            bytes += piece.len();
        }
        bytes
    };
    let taken = flood.await;
    assert!(taken < ANSWER_BYTES_MAX as usize + (1 << 17), "{taken} bytes were taken");
    drop(unread);
    let rest = async {
        // The piece that did not fit was written in part.
        daemon.0.write_all(b"\"}\n").await.unwrap();
        daemon.done("read", "", "end").await;
    };
    let ((_, end), ()) = tokio::join!(read(read_on), rest);
    assert!(end.is_ok(), "{end:?}");
}

#[test]
fn what_a_client_does_may_be_done_in_a_task() {
    fn is_send<T: Send>(_: &T) {}
    let (client, _daemons) = client(0);
    is_send(&client.hello());
    is_send(&client.generate(request("a")));
    is_send(&client.embed(EmbedRequest::default()));
    is_send(&client.call(inferd_proto::CallRequest::default(), |_| {}));
}

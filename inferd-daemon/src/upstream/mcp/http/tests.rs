//! A server that a test plays, exchange by exchange, on a real socket.

use std::future::Future;

use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc as channel;
use tokio::time::Instant;

use super::super::super::session::{Ask, Fault, Session};
use super::super::rpc::Rpc;
use super::*;

struct Server(TcpListener);

/// One exchange: what was asked, and the way back.
struct Asked {
    head: String,
    body: Value,
    stream: TcpStream,
}

impl Server {
    async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn url(&self) -> String {
        format!("http://{}/mcp", self.0.local_addr().unwrap())
    }

    /// The next request, on a connection of its own.
    async fn asked(&self) -> Asked {
        let (stream, _) =
            timeout(Duration::from_secs(20), self.0.accept()).await.expect("a request").unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).await.unwrap(), 0, "{head}");
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).await.unwrap();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Asked { head, body, stream: reader.into_inner() }
    }

    /// The next request that is a POST of this method; the session's own stream is refused meanwhile.
    async fn posted(&self, method: &str) -> Asked {
        loop {
            let asked = self.asked().await;
            if asked.head.starts_with("GET") && !asked.head.contains("last-event-id") {
                asked.answer("405 Method Not Allowed", "", "").await;
                continue;
            }
            assert_eq!(asked.body["method"], method, "{}", asked.head);
            return asked;
        }
    }
}

impl Asked {
    async fn answer(mut self, status: &str, headers: &str, body: &str) {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n");
        self.stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    }

    async fn result(self, headers: &str, result: Value) {
        let body = json!({"jsonrpc": "2.0", "id": self.body["id"], "result": result}).to_string();
        self.answer("200 OK", &format!("content-type: application/json; charset=utf-8\r\n{headers}"), &body)
            .await;
    }

    /// Begins a stream, which ends with the connection.
    async fn stream(&mut self, events: &str) {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        self.stream.write_all(format!("{head}{events}").as_bytes()).await.unwrap();
    }

    fn event(&self, text: &str) -> String {
        let message =
            json!({"jsonrpc": "2.0", "id": self.body["id"], "result": {"content": [{"text": text}]}});
        format!("data: {message}\n\n")
    }
}

/// A session with `server`, which has the id `s-1`.
async fn session(server: &Server) -> Rpc {
    Box::pin(begun(server)).await
}

async fn begun(server: &Server) -> Rpc {
    let ear = Arc::new(Ear::new("far"));
    let key = SecretString::from("token-1");
    let http = Http::new(&server.url(), Some(&key), Duration::from_secs(5), Arc::clone(&ear)).unwrap();
    let (session, ()) = tokio::join!(Rpc::begin(http, ear, None), async {
        let hello = server.posted("initialize").await;
        assert!(hello.head.contains("authorization: Bearer token-1\r\n"), "{}", hello.head);
        assert!(!hello.head.contains("mcp-session-id"), "{}", hello.head);
        let result = json!({"protocolVersion": "2025-06-18", "serverInfo": {"name": "x", "version": "1"},
            "capabilities": {"tools": {}}});
        hello.result("mcp-session-id: s-1\r\n", result).await;
        server.posted("notifications/initialized").await.answer("202 Accepted", "", "").await;
    });
    session.unwrap()
}

async fn call(session: &Rpc) -> Result<Value, Fault> {
    let (tell, _told) = channel::channel(1);
    session.ask(Ask::Tool { name: "x".to_owned(), arguments: None }, tell).await
}

/// Why the session ended.
async fn ended(session: &Rpc) -> String {
    timeout(Duration::from_secs(20), session.run()).await.expect("it ends")
}

/// What a call comes to at a server that does this with it; the session is worked on meanwhile.
async fn called(server: &Server, session: &Rpc, serve: impl Future<Output = ()>) -> Result<Value, Fault> {
    let working = async { tokio::join!(call(session), serve).0 };
    let listening = async {
        let reason = session.run().await;
        // The call says what it comes to; give it the time that a reason takes to travel.
        tokio::time::sleep(Duration::from_secs(5)).await;
        panic!("the session ended first: {reason} ({})", server.url());
    };
    tokio::select! { result = working => result, () = listening => unreachable!("it panics") }
}

#[tokio::test]
async fn a_call_is_answered_as_json_or_as_a_stream_within_its_session() {
    let server = Server::start().await;
    let session = session(&server).await;
    for streamed in [false, true] {
        let result = called(&server, &session, async {
            let mut asked = server.posted("tools/call").await;
            for header in ["mcp-session-id: s-1\r\n", "mcp-protocol-version: 2025-06-18\r\n"] {
                assert!(asked.head.contains(header), "{}", asked.head);
            }
            if streamed {
                let event = format!(": hello\n\nid: 0\ndata:\n\n{}", asked.event("hi"));
                asked.stream(&event).await;
            } else {
                asked.result("", json!({"content": [{"text": "hi"}]})).await;
            }
        });
        assert_eq!(result.await.unwrap()["content"][0]["text"], "hi");
    }
    let closing = async {
        let asked = server.asked().await;
        assert!(
            asked.head.starts_with("DELETE /mcp") && asked.head.contains("mcp-session-id: s-1"),
            "{}",
            asked.head
        );
        asked.answer("204 No Content", "", "").await;
    };
    tokio::join!(session.close(), closing);
}

#[tokio::test]
async fn a_stream_that_breaks_is_taken_up_where_it_broke() {
    let server = Server::start().await;
    let session = session(&server).await;
    let result = called(&server, &session, async {
        let mut asked = server.posted("tools/call").await;
        asked.stream("retry: 10\nid: e-7\ndata:\n\n").await;
        let event = asked.event("late");
        drop(asked);
        let mut back = server.asked().await;
        assert!(
            back.head.starts_with("GET") && back.head.contains("last-event-id: e-7\r\n"),
            "{}",
            back.head
        );
        back.stream(&event).await;
    });
    assert_eq!(result.await.unwrap()["content"][0]["text"], "late");
}

#[tokio::test]
async fn a_connection_lost_during_a_call_fails_it_at_once_and_nothing_is_sent_again() {
    let server = Server::start().await;
    let session = session(&server).await;
    let begun = Instant::now();
    let result = called(&server, &session, async {
        let mut asked = server.posted("tools/call").await;
        asked.stream(": still here\n\n").await;
    });
    assert_eq!(result.await.unwrap_err(), Fault::Lost("its stream ended before its answer".to_owned()));
    let result = called(&server, &session, async { drop(server.posted("tools/call").await) });
    insta::assert_snapshot!(result.await.unwrap_err(), @"the connection broke: closed by the server");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let again = timeout(Duration::from_millis(300), server.asked()).await;
    assert!(again.is_err(), "nothing more was asked");
}

#[tokio::test]
async fn a_server_that_went_away_ends_the_session() {
    let server = Server::start().await;
    let session = session(&server).await;
    drop(server);
    let lost = call(&session).await.unwrap_err();
    assert!(lost.to_string().ends_with("connection refused"), "{lost}");
    assert_eq!(ended(&session).await, lost.to_string());
}

#[tokio::test]
async fn a_session_that_was_forgotten_ends() {
    let server = Server::start().await;
    let session = session(&server).await;
    let (result, ()) = tokio::join!(call(&session), async {
        server.posted("tools/call").await.answer("404 Not Found", "", "").await;
    });
    result.unwrap_err();
    assert_eq!(ended(&session).await, "it has forgotten the session (HTTP 404)");
}

#[tokio::test]
async fn a_refusal_is_told_without_what_looks_like_a_key() {
    let server = Server::start().await;
    let session = session(&server).await;
    for (status, body, told) in [
        ("401 Unauthorized", "bad token-1", "it refused our credentials: HTTP 401: bad …"),
        ("500 Internal Server Error", "", "HTTP 500"),
        ("302 Found", "", "HTTP 302"),
    ] {
        let result = called(&server, &session, async {
            server.posted("tools/call").await.answer(status, "location: http://127.0.0.1:1/\r\n", body).await;
        });
        assert_eq!(result.await.unwrap_err().to_string(), told);
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_refused_with_that_reason() {
    let server = Server::start().await;
    let session = session(&server).await;
    for kind in ["application/json", "text/event-stream"] {
        let result = called(&server, &session, async {
            let mut asked = server.posted("tools/call").await;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\ndata: ");
            asked.stream.write_all(head.as_bytes()).await.unwrap();
            // Once it is too long nobody reads on.
            while asked.stream.write_all(&vec![b'x'; 1 << 20]).await.is_ok() {}
        });
        assert_eq!(result.await.unwrap_err().to_string(), "its answer exceeds 16777216 bytes", "{kind}");
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_is_cancelled_and_its_connection_closed() {
    let server = Server::start().await;
    let session = session(&server).await;
    let mut asked = {
        let mut calling = std::pin::pin!(call(&session));
        tokio::select! { result = &mut calling => panic!("{result:?}"), asked = server.posted("tools/call") => asked }
    };
    let told = async {
        let cancelled = server.posted("notifications/cancelled").await;
        assert_eq!(cancelled.body["params"]["requestId"], asked.body["id"]);
        cancelled.answer("202 Accepted", "", "").await;
        let mut rest = Vec::new();
        asked.stream.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty());
    };
    tokio::select! { () = told => {}, reason = session.run() => panic!("{reason}") }
}

#[tokio::test]
async fn the_sessions_own_stream_is_listened_to_and_come_back_to() {
    let server = Server::start().await;
    let session = session(&server).await;
    let mut changes = session.changes();
    let news = async {
        for id in 1..=2 {
            let mut asked = server.asked().await;
            assert!(asked.head.starts_with("GET"), "{}", asked.head);
            assert_eq!(asked.head.contains("last-event-id: 1\r\n"), id == 2, "{}", asked.head);
            let event = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
            asked.stream(&format!("retry: 10\nid: {id}\ndata: {event}\n\n")).await;
        }
        changes.wait_for(|count| *count == 2).await.unwrap();
    };
    tokio::select! { () = news => {}, reason = session.run() => panic!("{reason}") }
}

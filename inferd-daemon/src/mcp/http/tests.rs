//! Requests over connections in memory, on a paused clock.

use std::sync::Arc;

use serde_json::json;
use tokio::time::{Duration, Instant};

use super::*;
use crate::mcp::scripted::{Rig, initialize, post};

mod restarts;
mod streams;

fn delete(head: &str) -> String {
    format!("DELETE /mcp HTTP/1.1\r\nhost: localhost\r\n{head}\r\n")
}

fn get(head: &str) -> String {
    format!("GET /mcp HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n{head}\r\n")
}

fn ping() -> serde_json::Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })
}

#[tokio::test(start_paused = true)]
async fn only_pages_and_names_of_this_machine_are_answered_and_pages_may_read_it() {
    let rig = Rig::new(&McpConfig::default());
    let mut client = rig.connect();
    let evil = client.ask("GET /mcp HTTP/1.1\r\nhost: evil.example\r\n\r\n").await;
    assert_eq!(evil.status, 403);
    let evil = initialize(&mut client, "origin: http://evil.example\r\n").await;
    assert_eq!((evil.status, evil.header("access-control-allow-origin")), (403, None));
    let page = initialize(&mut client, "origin: http://localhost:3000\r\n").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("access-control-allow-origin"), Some("http://localhost:3000"));
    assert!(page.header("access-control-expose-headers").unwrap().contains("Mcp-Session-Id"));
    let preflight = "OPTIONS /mcp HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost:3000\r\n\
        access-control-request-method: POST\r\naccess-control-request-headers: mcp-session-id\r\n\r\n";
    let preflight = client.ask(preflight).await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-headers"), Some("mcp-session-id"));
    assert_eq!(client.ask("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.status, 404);
    assert_eq!(rig.sessions.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_valid_key_nothing_is_answered_where_keys_are_asked_for() {
    let keys = Some(Arc::new(Keys::from_plain("ci", "secret")));
    let rig = Rig::new(&McpConfig { keys, ..McpConfig::default() });
    let mut client = rig.connect();
    for head in [
        "",
        "authorization: Bearer wrong\r\n",
        "authorization: Basic secret\r\n",
        "authorization: secret\r\n",
    ] {
        let refused = initialize(&mut client, head).await;
        assert_eq!(refused.status, 401, "{head}");
        assert!(refused.header("www-authenticate").unwrap().starts_with("Bearer"));
    }
    assert_eq!(initialize(&mut client, "authorization: bearer secret\r\n").await.status, 200);
    assert_eq!(rig.sessions.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_is_one_message_within_its_limit() {
    let limits = Limits { body_bytes_max: 1000, ..Limits::default() };
    let rig = Rig::new(&McpConfig { limits, ..McpConfig::default() });
    let mut client = rig.connect();
    let batch = client.ask(&post("", &json!([ping()]))).await;
    assert_eq!((batch.status, &batch.json()["error"]["code"]), (400, &json!(-32600)));
    let text = "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
        accept: application/json, text/event-stream\r\ncontent-length: 1\r\n\r\n{";
    let garbage = client.ask(text).await;
    assert_eq!((garbage.status, &garbage.json()["error"]["code"]), (400, &json!(-32700)));
    let long = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "params": { "x": "x".repeat(1000) } });
    assert_eq!(client.ask(&post("", &long)).await.status, 413);
    // Nor when it does not say how long it will be.
    let mut client = rig.connect();
    let chunk = "x".repeat(600);
    let chunked = format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n\
         258\r\n{chunk}\r\n258\r\n{chunk}\r\n0\r\n\r\n"
    );
    assert_eq!(client.ask(&chunked).await.status, 413);
    assert!(rig.sessions.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_head_or_body_that_does_not_come_is_not_waited_for() {
    let rig = Rig::new(&McpConfig::default());
    let mut client = rig.connect();
    client.send("POST /mcp HTTP/1.1\r\nhost: local").await;
    let began = Instant::now();
    while client.fill().await {}
    assert!(began.elapsed() < Duration::from_secs(90), "{:?}", began.elapsed());
    let mut client = rig.connect();
    let began = Instant::now();
    let text = "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
        accept: application/json, text/event-stream\r\ncontent-length: 9\r\n\r\n{";
    assert_eq!(client.ask(text).await.status, 408);
    assert_eq!(began.elapsed(), BODY_PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn a_session_is_made_by_initialize_alone() {
    let rig = Rig::new(&McpConfig::default());
    let mut client = rig.connect();
    for _ in 0..10_000 {
        assert_eq!(client.ask(&post("", &ping())).await.status, 400);
    }
    assert!(rig.sessions.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_not_there_is_404_with_the_way_out() {
    let rig = Rig::new(&McpConfig::default());
    let head = rig.session("").await;
    let mut client = rig.connect();
    let expect = json!({
        "error": "session_expired", "status": 404,
        "message": "there is no such session, or it is over", "retry": "re-initialize",
    });
    for unknown in ["mcp-session-id: 7\r\n", "mcp-session-id: 019000000000-0000-7000-8000-000000000000\r\n"] {
        for request in [post(unknown, &ping()), get(unknown), delete(unknown)] {
            let missing = client.ask(&request).await;
            assert_eq!((missing.status, missing.json()), (404, expect.clone()), "{request}");
        }
    }
    assert_eq!(client.ask(&post(&head, &ping())).await.status, 200);
    assert_eq!(client.ask(&delete(&head)).await.status, 204);
    assert_eq!(client.ask(&delete(&head)).await.json(), expect);
    assert_eq!(client.ask(&post(&head, &ping())).await.json(), expect);
    assert!(rig.sessions.is_empty());
}

#[tokio::test(start_paused = true)]
async fn anothers_session_is_as_one_that_is_not_there() {
    let keys = Some(Arc::new(Keys::several(&[("one", "1"), ("two", "2")])));
    let rig = Rig::new(&McpConfig { keys, ..McpConfig::default() });
    let (one, two) = ("authorization: Bearer 1\r\n", "authorization: Bearer 2\r\n");
    let session = rig.session(one).await;
    let mut client = rig.connect();
    for request in [
        post,
        |head: &str, _: &serde_json::Value| get(head),
        |head: &str, _: &serde_json::Value| delete(head),
    ] {
        let foreign = client.ask(&request(&format!("{two}{session}"), &ping())).await;
        assert_eq!((foreign.status, &foreign.json()["error"]), (404, &json!("session_expired")));
    }
    assert_eq!(client.ask(&post(&format!("{one}{session}"), &ping())).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn past_its_sessions_a_principal_is_told_to_come_back_later() {
    let rig = Rig::new(&McpConfig::default());
    let mut streams = Vec::new();
    for _ in 0..crate::mcp::session::SESSIONS_PER_PRINCIPAL_MAX {
        let head = rig.session("").await;
        let mut client = rig.connect();
        client.send(&get(&head)).await;
        assert_eq!(client.head().await.status, 200);
        streams.push(client);
    }
    let mut client = rig.connect();
    let full = initialize(&mut client, "").await;
    assert_eq!((full.status, full.header("retry-after")), (503, Some("60")));
    // One that nobody uses makes room.
    drop(streams.pop());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(initialize(&mut client, "").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn one_principals_streams_leave_most_connections_to_others() {
    let keys = Some(Arc::new(Keys::several(&[("one", "1"), ("two", "2")])));
    let limits = Limits { connections_max: 8, ..Limits::default() };
    let rig = Rig::new(&McpConfig { keys, limits, ..McpConfig::default() });
    let (one, two) = ("authorization: Bearer 1\r\n", "authorization: Bearer 2\r\n");
    let mut streams = Vec::new();
    for _ in 0..2 {
        let head = rig.session(one).await;
        streams.push(streams::open(&rig, &get(&format!("{one}{head}"))).await);
    }
    let (head, other) = (rig.session(one).await, rig.session(two).await);
    let mut client = rig.connect();
    let third = client.ask(&get(&format!("{one}{head}"))).await;
    assert_eq!((third.status, third.header("retry-after")), (503, Some("10")));
    assert_eq!(third.json()["error"], "too_many_streams");
    let mut client = rig.connect();
    assert_eq!(
        client.ask(&post(&format!("{one}{head}"), &ping())).await.status,
        200,
        "what ends is answered"
    );
    streams::open(&rig, &get(&format!("{two}{other}"))).await;
    // Who leaves makes room.
    drop(streams.pop());
    tokio::time::sleep(Duration::from_secs(1)).await;
    streams::open(&rig, &get(&format!("{one}{head}"))).await;
}

//! The listener on real sockets.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;
use crate::mcp::http::Limits;
use crate::mcp::scripted::{Client, Scripted, call, initialize, post};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn clients_on_sockets_are_served_until_the_daemon_stops() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sessions, stop, handler) = (SessionStore::new(), Stop::default(), Scripted::default());
    let gate = Arc::clone(&handler.gate);
    let config =
        McpConfig { limits: Limits { connections_max: 8, ..Limits::default() }, ..McpConfig::default() };
    let served = serve(
        listener,
        watch::Sender::new(config).subscribe(),
        move || handler.clone(),
        sessions.clone(),
        stop.clone(),
    );
    let clients = async {
        let mut client = Client::new(TcpStream::connect(address).await.unwrap());
        let id = initialize(&mut client, "").await.header("mcp-session-id").unwrap().to_owned();
        let head = format!("mcp-session-id: {id}\r\n");
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(client.ask(&post(&head, &ready)).await.status, 202);
        client.send(&post(&head, &call(1, "wait", &json!({})))).await;
        assert_eq!(client.head().await.status, 200);
        stop.drain();
        gate.add_permits(1);
        assert_eq!(client.event().await.unwrap().json()["id"], json!(1));
        while client.fill().await {}
        TcpStream::connect(address).await.unwrap_err();
    };
    let (served, ()) = timeout(PATIENCE, async { tokio::join!(served, clients) }).await.unwrap();
    served.unwrap();
    assert!(sessions.is_empty());
}

#[tokio::test]
async fn ten_thousand_clients_without_a_session_leave_none_and_one_that_stalls_delays_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sessions, stop) = (SessionStore::new(), Stop::default());
    let config = watch::Sender::new(McpConfig::default()).subscribe();
    let served = serve(listener, config, Scripted::default, sessions.clone(), stop.clone());
    let clients = async {
        let connect = || async { Client::new(TcpStream::connect(address).await.unwrap()) };
        let mut client = connect().await;
        let id = initialize(&mut client, "").await.header("mcp-session-id").unwrap().to_owned();
        let head = format!("mcp-session-id: {id}\r\nmcp-protocol-version: 2025-11-25\r\n");
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(client.ask(&post(&head, &ready)).await.status, 202);
        // More than sockets hold, and nobody reads it.
        let mut stalled = connect().await;
        let flood = json!({ "count": 200, "bytes": 100_000 });
        stalled.send(&post(&head, &call(1, "flood", &flood))).await;
        assert_eq!(stalled.head().await.status, 200);
        for _ in 0..10_000 {
            let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
            assert_eq!(client.ask(&post("", &ping)).await.status, 400);
        }
        assert_eq!(sessions.len(), 1);
        let answered = client.ask(&post(&head, &call(2, "tell", &json!({})))).await;
        assert_eq!(answered.events().last().unwrap().json()["id"], json!(2));
        stop.end();
    };
    let (served, ()) = timeout(PATIENCE, async { tokio::join!(served, clients) }).await.unwrap();
    served.unwrap();
}

#[tokio::test]
async fn where_connections_run_out_idle_ones_make_way() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits { connections_max: 4, ..Limits::default() };
    let config = watch::Sender::new(McpConfig { limits, ..McpConfig::default() }).subscribe();
    let stop = Stop::default();
    let served = serve(listener, config, Scripted::default, SessionStore::new(), stop.clone());
    let clients = async {
        let connect = || async { Client::new(TcpStream::connect(address).await.unwrap()) };
        let mut busy = connect().await;
        let id = initialize(&mut busy, "").await.header("mcp-session-id").unwrap().to_owned();
        let head = format!("mcp-session-id: {id}\r\n");
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(busy.ask(&post(&head, &ready)).await.status, 202);
        let get = format!("GET /mcp HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n{head}\r\n");
        busy.send(&get).await;
        assert_eq!(busy.head().await.status, 200);
        assert_eq!(busy.event().await.unwrap().name(), "init");
        // Some have asked something, some nothing.
        let mut idle = vec![connect().await, connect().await, connect().await];
        initialize(&mut idle[0], "").await;
        for _ in 0..8 {
            let mut next = connect().await;
            assert_eq!(initialize(&mut next, "").await.status, 200);
            idle.push(next);
        }
        let tell = post(&head, &call(2, "tell", &json!({})));
        assert_eq!(connect().await.ask(&tell).await.status, 200);
        assert_eq!(busy.event().await.unwrap().id.as_deref(), Some("0-1"), "what is in use stays");
        stop.end();
    };
    let (served, ()) = timeout(PATIENCE, async { tokio::join!(served, clients) }).await.unwrap();
    served.unwrap();
}

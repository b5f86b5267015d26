//! What the streams of a session say, to whom, and when they end.

use serde_json::Value;

use super::*;
use crate::mcp::scripted::{Client, call};

type Io = Client<tokio::io::DuplexStream>;

pub(super) fn resume(head: &str, last: &str) -> String {
    get(&format!("{head}last-event-id: {last}\r\n"))
}

/// Opens a stream and reads its head; what a GET says first is read too.
pub(super) async fn open(rig: &Rig, request: &str) -> Io {
    let mut client = rig.connect();
    client.send(request).await;
    assert_eq!(client.head().await.status, 200);
    client
}

#[tokio::test(start_paused = true)]
async fn a_call_that_lost_its_connection_is_answered_to_who_comes_back_and_once() {
    let rig = Rig::new(&McpConfig::default());
    let head = rig.session("").await;
    let mut first = open(&rig, &post(&head, &call(7, "wait", &json!({})))).await;
    let primed = first.event().await.unwrap();
    assert_eq!((primed.id.as_deref(), primed.data.as_str()), (Some("1-0"), ""));
    drop(first);
    // Back while the call goes on, …
    let mut second = open(&rig, &resume(&head, "1-0")).await;
    let opened = second.event().await.unwrap();
    assert_eq!((opened.name(), &opened.id), ("init", &None));
    rig.gate.add_permits(1);
    let answer = second.event().await.unwrap();
    assert_eq!((answer.id.as_deref(), &answer.json()["id"]), (Some("1-1"), &json!(7)));
    assert_eq!(second.event().await, None, "a call's stream ends with its answer");
    // … and after it has been answered, …
    let mut client = rig.connect();
    let again = client.ask(&resume(&head, "1-0")).await.events();
    assert_eq!(again.iter().filter(|event| event.name() == "message").count(), 1);
    assert_eq!(again.last().unwrap().id, answer.id);
    // … and with nothing left to come.
    let none = client.ask(&resume(&head, "1-1")).await.events();
    assert!(none.iter().all(|event| event.id.is_none()), "{none:?}");
}

#[tokio::test(start_paused = true)]
async fn streams_of_a_session_never_show_each_others_events() {
    let rig = Rig::new(&McpConfig::default());
    let head = rig.session("").await;
    let mut standing = open(&rig, &get(&head)).await;
    assert_eq!(standing.event().await.unwrap().name(), "init");
    let mut waiting = open(&rig, &post(&head, &call(1, "wait", &json!({})))).await;
    waiting.event().await;
    let flood = call(2, "flood", &json!({ "count": 5 }));
    let flooded = rig.connect().ask(&post(&head, &flood)).await.events();
    let tokens = flooded.iter().map(|event| event.json()["params"]["progressToken"].clone());
    assert_eq!(tokens.collect::<Vec<_>>(), [json!(2), json!(2), json!(2), json!(2), json!(2), Value::Null]);
    let ids: Vec<_> = flooded.iter().map(|event| event.id.clone().unwrap()).collect();
    assert_eq!(ids, ["2-1", "2-2", "2-3", "2-4", "2-5", "2-6"]);
    let told = rig.connect().ask(&post(&head, &call(3, "tell", &json!({})))).await.events();
    assert_eq!(told.len(), 1, "what belongs to no call is not on a call's stream: {told:?}");
    let said = standing.event().await.unwrap();
    assert_eq!(
        (said.id.as_deref(), &said.json()["method"]),
        (Some("0-1"), &json!("notifications/tools/list_changed"))
    );
    rig.gate.add_permits(1);
    assert_eq!(waiting.event().await.unwrap().json()["id"], json!(1));
    assert_eq!(waiting.event().await, None);
    let beat = standing.event().await.unwrap();
    assert_eq!(beat.name(), "heartbeat", "nothing else was said");
}

#[tokio::test(start_paused = true)]
async fn the_first_get_is_told_all_that_was_said_and_the_next_one_what_it_has_not_seen() {
    let rig = Rig::new(&McpConfig::default());
    let head = rig.session("").await;
    for id in 1..=3 {
        rig.connect().ask(&post(&head, &call(id, "tell", &json!({})))).await;
    }
    let ids = |range: std::ops::RangeInclusive<u64>| -> Vec<_> {
        range.map(|id| Some(format!("0-{id}"))).collect()
    };
    let mut first = open(&rig, &get(&head)).await;
    first.event().await;
    assert_eq!(first.ids(3).await, ids(1..=3));
    let mut second = open(&rig, &resume(&head, "0-2")).await;
    second.event().await;
    assert_eq!(second.ids(1).await, ids(3..=3));
    assert_eq!(first.event().await, None, "a message is said on one stream only: the later reader has it");
    for cursor in ["nonsense", "0-4", "18446744073709551615", "99999999999999999999"] {
        let mut reader = open(&rig, &resume(&head, cursor)).await;
        reader.event().await;
        let lagged = reader.event().await.unwrap();
        assert_eq!((lagged.name(), &lagged.id), ("lagged", &None), "{cursor}");
        assert_eq!(reader.ids(3).await, ids(1..=3), "{cursor}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_standing_stream_shows_that_it_lives_without_moving_the_cursor() {
    let rig = Rig::new(&McpConfig::default());
    let head = rig.session("").await;
    let mut standing = open(&rig, &get(&head)).await;
    standing.event().await;
    let began = Instant::now();
    for beats in 1..=3 {
        let beat = standing.event().await.unwrap();
        assert_eq!((beat.name(), &beat.id), ("heartbeat", &None));
        assert_eq!(began.elapsed(), Duration::from_secs(30) * beats);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_stream_or_call_is_open_does_not_expire_before_its_absolute_limit() {
    use crate::mcp::session::{ABSOLUTE, INACTIVITY};
    let rig = Rig::new(&McpConfig::default());
    let (reading, calling, idle) = (rig.session("").await, rig.session("").await, rig.session("").await);
    let mut standing = open(&rig, &get(&reading)).await;
    let mut waiting = open(&rig, &post(&calling, &call(1, "wait", &json!({})))).await;
    waiting.event().await;
    tokio::time::sleep(INACTIVITY).await;
    assert_eq!(rig.sessions.sweep_now(Instant::now()), 1);
    assert_eq!(rig.connect().ask(&post(&idle, &ping())).await.status, 404);
    tokio::time::sleep(ABSOLUTE).await;
    assert_eq!(rig.sessions.sweep_now(Instant::now()), 2);
    while standing.event().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stalls_holds_up_nobody_and_is_sent_away() {
    let rig = Rig::new(&McpConfig::default());
    let head = rig.session("").await;
    // Of its head a few bytes are read, and nothing more.
    let mut stalled = rig.connect_within(1024);
    let flood = |id| post(&head, &call(id, "flood", &json!({ "count": 200, "bytes": 10_000 })));
    stalled.send(&flood(1)).await;
    assert_eq!(stalled.head().await.status, 200);
    let began = Instant::now();
    let other = rig.connect().ask(&flood(2)).await.events();
    assert_eq!(other.len(), 201);
    assert_eq!(began.elapsed(), Duration::ZERO, "nobody waited");
    // What it did not take is kept for it, the answer before all else.
    tokio::time::sleep(Duration::from_secs(40)).await;
    while stalled.fill().await {}
    assert!(began.elapsed() < Duration::from_secs(60), "the connection has ended by itself");
    let rest = rig.connect().ask(&resume(&head, "1-0")).await.events();
    assert_eq!(rest.last().unwrap().json()["id"], json!(1));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_waits_for_is_ended_in_time_and_one_that_somebody_came_back_for_is_not() {
    use crate::mcp::session::{SWEEP, UNREAD};
    let rig = Rig::new(&McpConfig::default());
    let head = rig.session("").await;
    let mut first = open(&rig, &post(&head, &call(1, "wait", &json!({})))).await;
    first.event().await;
    tokio::time::sleep(UNREAD * 2).await;
    drop(first);
    tokio::time::sleep(UNREAD / 2).await;
    let mut second = open(&rig, &resume(&head, "1-0")).await;
    second.event().await;
    tokio::time::sleep(UNREAD * 2).await;
    assert_eq!(rig.cancelled.available_permits(), 0, "it was waited for all the time, or nearly so");
    drop(second);
    let began = Instant::now();
    rig.cancelled.acquire().await.unwrap().forget();
    assert!((UNREAD..UNREAD + SWEEP * 2).contains(&began.elapsed()), "{:?}", began.elapsed());
    let last = rig.connect().ask(&resume(&head, "1-0")).await.events().pop().unwrap().json();
    assert_eq!((&last["id"], &last["error"]["code"]), (&json!(1), &json!(-32603)));
    // The session goes on, and the id is free again.
    rig.gate.add_permits(1);
    let again = rig.connect().ask(&post(&head, &call(1, "wait", &json!({})))).await.events();
    assert!(again.last().unwrap().json()["result"].is_object());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_ends_its_stream_and_is_not_answered() {
    let rig = Rig::new(&McpConfig::default());
    let head = rig.session("").await;
    let mut waiting = open(&rig, &post(&head, &call(1, "wait", &json!({})))).await;
    waiting.event().await;
    let cancel =
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } });
    assert_eq!(rig.connect().ask(&post(&head, &cancel)).await.status, 202);
    assert_eq!(waiting.event().await, None);
    rig.cancelled.acquire().await.unwrap().forget();
    // The id is free again.
    rig.gate.add_permits(2);
    let again = rig.connect().ask(&post(&head, &call(1, "wait", &json!({})))).await.events();
    assert_eq!(again.last().unwrap().json()["id"], json!(1));
}

#[tokio::test(start_paused = true)]
async fn an_id_that_is_in_use_is_refused_and_the_first_call_answered() {
    let rig = Rig::new(&McpConfig::default());
    let head = rig.session("").await;
    let mut waiting = open(&rig, &post(&head, &call(1, "wait", &json!({})))).await;
    waiting.event().await;
    let second = rig.connect().ask(&post(&head, &call(1, "tell", &json!({})))).await.events();
    assert_eq!(second[0].json()["error"]["code"], json!(-32600));
    rig.gate.add_permits(1);
    assert_eq!(waiting.event().await.unwrap().json()["result"]["content"][0]["text"], json!("wait"));
}

#[tokio::test(start_paused = true)]
async fn a_draining_daemon_answers_the_calls_that_are_open_and_ends_what_would_never_end() {
    let rig = Rig::new(&McpConfig::default());
    let head = rig.session("").await;
    let mut standing = open(&rig, &get(&head)).await;
    let mut waiting = open(&rig, &post(&head, &call(1, "wait", &json!({})))).await;
    waiting.event().await;
    rig.draining.cancel();
    while standing.event().await.is_some() {}
    rig.gate.add_permits(1);
    assert_eq!(waiting.event().await.unwrap().json()["id"], json!(1));
    assert_eq!(waiting.event().await, None);
    rig.sessions.close().await;
    rig.ending.cancel();
    rig.tasks.close();
    rig.tasks.wait().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_call_asks_the_client_is_on_the_calls_own_stream_and_answered_by_another_post() {
    let rig = Rig::new(&McpConfig::default());
    let head = rig.session("").await;
    let mut standing = open(&rig, &get(&head)).await;
    standing.event().await;
    let mut asking = open(&rig, &post(&head, &call(1, "ask", &json!({})))).await;
    asking.event().await;
    let asked = asking.event().await.unwrap().json();
    assert_eq!(asked["method"], json!("ping"));
    let answer = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": {} });
    assert_eq!(rig.connect().ask(&post(&head, &answer)).await.status, 202);
    assert_eq!(asking.event().await.unwrap().json()["id"], json!(1));
    assert_eq!(standing.event().await.unwrap().name(), "heartbeat", "it was not asked twice");
}

#[tokio::test(start_paused = true)]
async fn a_call_may_end_its_connection_and_answer_who_comes_back() {
    let rig = Rig::new(&McpConfig::default());
    let head = rig.session("").await;
    let primed = rig.connect().ask(&post(&head, &call(1, "hang up", &json!({})))).await;
    assert!(primed.body.starts_with("id: 1-0\nretry: 1000\ndata: \n\n"), "{}", primed.body);
    assert!(primed.events().is_empty());
    rig.gate.add_permits(1);
    let answered = rig.connect().ask(&resume(&head, "1-0")).await.events();
    assert_eq!(answered.last().unwrap().json()["id"], json!(1));
}

#[tokio::test(start_paused = true)]
async fn without_sessions_a_client_that_leaves_cancels_its_call() {
    let rig = Rig::new(&McpConfig::default());
    let mut wait = call(1, "wait", &json!({}));
    let meta = &mut wait["params"]["_meta"];
    meta["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
    let head = "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: wait\r\n";
    let mut client = rig.connect();
    client.send(&post(head, &wait)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(rig.cancelled.available_permits(), 0);
    drop(client);
    rig.cancelled.acquire().await.unwrap().forget();
    assert!(rig.sessions.is_empty());
}

#[tokio::test(start_paused = true)]
async fn clients_before_2025_11_25_are_sent_nothing_but_messages() {
    let rig = Rig::new(&McpConfig::default());
    let head = rig.session("").await.replace("2025-11-25", "2025-06-18");
    let answered = rig.connect().ask(&post(&head, &ping())).await;
    assert!(answered.body.starts_with("event: message\nid: 1-1\ndata: {"), "{}", answered.body);
}

//! Servers, their tools, and calls of these, beside whatever else is open.

use inferd_proto::CallRequest;

use super::*;

fn look(id: &str) -> CallRequest {
    CallRequest { id: id.into(), tool: "a::b".into(), progress: Some(true), ..CallRequest::default() }
}

fn called(id: &str) -> Value {
    json!({"type": "called", "id": id, "tool": "a::b", "content": [{"type": "text", "text": "x"}], "is_error": false})
}

/// The status frames of the call `id`, so far along.
fn half(id: &str, done: f64) -> Value {
    json!({"type": "status", "id": id, "status": "calling", "tool": "a::b", "progress": {"done": done}})
}

#[tokio::test]
async fn a_call_is_shown_where_it_stands_and_ends_with_its_own_result() {
    let (client, mut daemons) = client(1);
    let daemon = &mut daemons[0];
    let mut seen = Vec::new();
    let speak = async {
        let sent = json!({"type": "call", "id": "c", "tool": "a::b", "arguments": {}, "progress": true});
        assert_eq!(daemon.hears().await, sent);
        assert_eq!(daemon.hears().await["id"], "d");
        for frame in [half("d", 9.0), half("c", 1.0), called("d"), half("c", 2.0), called("c")] {
            daemon.says(frame).await;
        }
    };
    let news = |status: &Response| {
        let Response::Status { progress: Some(progress), .. } = status else { panic!("{status:?}") };
        seen.push(progress.done);
    };
    let (c, d, ()) = tokio::join!(client.call(look("c"), news), client.call(look("d"), |_| {}), speak);
    assert_eq!((c.unwrap().id, d.unwrap().id), ("c".to_owned(), "d".to_owned()));
    assert_eq!(seen, [1.0, 2.0]);
}

#[tokio::test]
async fn news_that_nobody_looks_at_are_left_out_and_the_result_is_not() {
    let (client, mut daemons) = client(1);
    let daemon = &mut daemons[0];
    let speak = async {
        daemon.hears().await;
        for done in 0..1000 {
            daemon.says(half("c", f64::from(done))).await;
        }
        daemon.says(called("c")).await;
    };
    let mut seen = 0;
    let (called, ()) = tokio::join!(client.call(look("c"), |_| seen += 1), speak);
    assert!(called.is_ok());
    assert!((1..=1000).contains(&seen), "{seen}");
}

#[tokio::test]
async fn lists_are_asked_for_under_ids_of_their_own() {
    let (client, mut daemons) = client(1);
    let daemon = &mut daemons[0];
    let speak = async {
        let (servers, tools) = (daemon.hears().await, daemon.hears().await);
        assert_eq!(servers, json!({"type": "servers", "id": servers["id"]}));
        assert_eq!(tools, json!({"type": "tools", "id": tools["id"], "server": "a"}));
        daemon.says(json!({"type": "tools", "id": tools["id"], "tools": []})).await;
        daemon.says(json!({"type": "servers", "id": servers["id"], "servers": []})).await;
    };
    let (servers, tools, ()) = tokio::join!(client.servers(), client.tools(Some("a")), speak);
    assert!(servers.unwrap().servers.is_empty() && tools.unwrap().tools.is_empty());
}

#[tokio::test]
async fn a_call_that_ends_without_a_result_says_how() {
    for (frame, expected) in [
        (
            json!({"type": "error", "id": "c", "code": "invalid_request", "message": "this daemon has no servers"}),
            "this daemon has no servers",
        ),
        (
            json!({"type": "done", "id": "c", "content": "", "usage": {"prompt_tokens": 0, "completion_tokens": 0},
                "stop_reason": "cancelled", "backend": ""}),
            "cancelled",
        ),
        (
            json!({"type": "tools", "id": "c", "tools": []}),
            "what answers there does not speak the protocol: a request was answered with what it did not ask for",
        ),
    ] {
        let (client, mut daemons) = client(1);
        let speak = async {
            daemons[0].hears().await;
            daemons[0].says(frame).await;
        };
        let (called, ()) = tokio::join!(client.call(look("c"), |_| {}), speak);
        assert_eq!(called.unwrap_err().to_string(), expected);
    }
}

#[tokio::test]
async fn who_no_longer_waits_for_a_result_has_the_call_ended() {
    let (client, mut daemons) = client(1);
    {
        let mut calling = std::pin::pin!(client.call(look("c"), |_| {}));
        tokio::select! {
            called = &mut calling => panic!("{called:?}"),
            request = daemons[0].hears() => assert_eq!(request["id"], "c"),
        }
    }
    assert_eq!(daemons[0].hears().await, json!({"type": "cancel", "id": "c"}));
}

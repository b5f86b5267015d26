//! Lists of servers and tools.

use serde_json::json;

use super::*;
use crate::upstream::scripted::tools;

#[tokio::test(start_paused = true)]
async fn servers_and_tools_are_listed_sorted_with_what_is_left_out() {
    let stage = Stage::of(&["b", "away", "a"]);
    let _b = stage.play("b", tools(&["z", "y"])).await;
    let a = stage.play("a", tools(&["x"])).await;
    let _away = stage.enter("away").await;
    stage.dismiss("a");
    drop(a);
    let mut changes = stage.upstreams.changes();
    changes.wait_for(|catalogue| catalogue.tools.iter().any(|tool| tool.stale)).await.unwrap();
    let rooms = "[[rooms]]\nid = \"r2\"\n[[rooms]]\nid = \"r1\"\n";
    let rig = Rig::of(&Scripted::hanging("lane")).with_servers(&stage, rooms);
    let mut talk = rig.local();
    let mut answers = Vec::new();
    for line in [
        json!({ "type": "servers", "id": "s" }),
        json!({ "type": "tools", "id": "t" }),
        json!({ "type": "tools", "server": "b" }),
        json!({ "type": "tools", "id": "t", "server": "none" }),
        json!({ "type": "tools", "id": "t", "server": "A" }),
    ] {
        talk.send(&line.to_string()).await;
        answers.push(talk.line().await.unwrap());
    }
    insta::assert_snapshot!(answers.join("\n"), @r#"
    {"type":"servers","id":"s","servers":[{"server":"a","kind":"stdio","state":"down","tools":1,"latency_ms":0,"error":"it closed its output"},{"server":"away","kind":"stdio","state":"connecting","tools":0},{"server":"b","kind":"stdio","state":"live","tools":2,"latency_ms":0}],"rooms":["r1","r2"]}
    {"type":"tools","id":"t","tools":[{"name":"a::x","server":"a","input_schema":{"type":"object"},"stale":true},{"name":"b::y","server":"b","input_schema":{"type":"object"}},{"name":"b::z","server":"b","input_schema":{"type":"object"}}],"warnings":[{"server":"a","message":"stale: it closed its output"},{"server":"away","message":"left out: it has not answered yet"}]}
    {"type":"tools","id":"","tools":[{"name":"b::y","server":"b","input_schema":{"type":"object"}},{"name":"b::z","server":"b","input_schema":{"type":"object"}}],"warnings":[]}
    {"type":"error","id":"t","code":"invalid_request","message":"server: there is no server \"none\""}
    {"type":"error","id":"t","code":"invalid_request","message":"server: expected a server's id: 1 to 32 of a-z, 0-9, `-` and single `_`, a letter or digit first"}
    "#);
}

#[tokio::test(start_paused = true)]
async fn hello_names_servers_where_there_are_any_and_agents_always() {
    let stage = Stage::of(&["a"]);
    let with = Rig::of(&Scripted::hanging("lane")).with_servers(&stage, "");
    let without = Rig::of(&Scripted::hanging("lane"));
    for (rig, expected) in [(with, true), (without, false)] {
        let mut talk = rig.local();
        talk.send(r#"{"type":"hello"}"#).await;
        let hello = talk.line().await.unwrap();
        assert!(hello.contains(r#""agent""#));
        assert_eq!(hello.contains(r#""servers""#), expected, "{hello}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_no_frame_can_hold_is_an_error_that_says_what_to_do() {
    let stage = Stage::of(&["a"]);
    let _a = stage.play("a", tools(&["x", "y", "z"])).await;
    let limits = ConnectionLimits { frame_bytes_max: 200, ..ConnectionLimits::default() };
    let rig = Rig::with(&Scripted::hanging("lane"), Admission::new(1, 1), limits).with_servers(&stage, "");
    let mut talk = rig.local();
    insta::assert_snapshot!(talk.ask(r#"{"type":"tools","id":"t"}"#).await, @r#"{"type":"error","id":"t","code":"invalid_request","message":"server: the list exceeds a frame of 200 bytes, ask for that of one server"}"#);
}

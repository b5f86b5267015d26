//! Additive fields go to those who asked for them, and a v1 reader never meets one.

use inferd_proto::{FunctionCall, FunctionTag, ToolCall, Usage};

use super::*;

/// An answer with all there is: reasoning, a model's name, a tool called.
fn rich() -> Arc<Scripted> {
    Scripted::new("lane", |_, _| {
        let call = FunctionCall { name: "look".to_owned(), arguments: "{}".to_owned() };
        Turn::Say(vec![
            TokenEvent::Thinking("hm".to_owned()),
            token("1"),
            token("2"),
            TokenEvent::Done {
                stop_reason: StopReason::ToolCalls,
                usage: Usage { prompt_tokens: 5, completion_tokens: 3 },
                tool_calls: vec![ToolCall {
                    id: "c".to_owned(),
                    r#type: FunctionTag::Function,
                    function: call,
                }],
                model: Some("m".to_owned()),
            },
        ])
    })
}

#[tokio::test(start_paused = true)]
async fn a_v1_request_is_answered_in_v1() {
    let rig = Rig::of(&rich());
    insta::assert_snapshot!(rig.local().ask(&ask("a")).await, @r#"
    {"type":"token","id":"a","content":"1"}
    {"type":"token","id":"a","content":"2"}
    {"type":"done","id":"a","content":"12","usage":{"prompt_tokens":5,"completion_tokens":3},"stop_reason":"end","backend":"lane"}
    "#);
    let unstreamed = ask_with("a", r#","stream":false"#);
    insta::assert_snapshot!(rig.local().ask(&unstreamed).await, @r#"{"type":"done","id":"a","content":"12","usage":{"prompt_tokens":5,"completion_tokens":3},"stop_reason":"end","backend":"lane"}"#);
}

#[tokio::test(start_paused = true)]
async fn a_request_with_an_additive_field_is_answered_in_full() {
    let rig = Rig::of(&rich());
    insta::assert_snapshot!(rig.local().ask(&ask_with("a", r#","seed":1"#)).await, @r#"
    {"type":"token","id":"a","content":"hm","kind":"thinking"}
    {"type":"token","id":"a","content":"1"}
    {"type":"token","id":"a","content":"2"}
    {"type":"done","id":"a","content":"12","usage":{"prompt_tokens":5,"completion_tokens":3},"stop_reason":"tool_calls","backend":"lane","model":"m","tool_calls":[{"id":"c","type":"function","function":{"name":"look","arguments":"{}"}}],"timings":{"queue_ms":0,"first_token_ms":0,"total_ms":0}}
    "#);
    let unstreamed = ask_with("a", r#","stream":false,"seed":1"#);
    insta::assert_snapshot!(rig.local().ask(&unstreamed).await, @r#"{"type":"done","id":"a","content":"12","usage":{"prompt_tokens":5,"completion_tokens":3},"stop_reason":"tool_calls","backend":"lane","model":"m","tool_calls":[{"id":"c","type":"function","function":{"name":"look","arguments":"{}"}}],"timings":{"queue_ms":0,"first_token_ms":0,"total_ms":0}}"#);
}

#[tokio::test(start_paused = true)]
async fn after_hello_every_request_is_answered_in_full() {
    let rig = Rig::of(&rich());
    let mut talk = rig.local();
    talk.send(r#"{"type":"hello"}"#).await;
    let hello = talk.line().await.unwrap();
    insta::assert_snapshot!(hello.replace(env!("CARGO_PKG_VERSION"), "VERSION"), @r#"{"type":"hello","protocol":1,"version":"VERSION","features":["agent","blocks","cancel","deadline","embed","hello","model","pipelining","priority","progress","response_format","tools"],"limits":{"frame_bytes_max":67108864,"open_requests_max":256,"active":4,"queue_depth":16},"models":[{"name":"*","backend":"lane","ready":true}]}"#);
    let full = rig.local().ask(&ask_with("a", r#","seed":1"#)).await;
    assert_eq!(talk.ask(&ask("a")).await, full);
    assert_ne!(rig.local().ask(&ask("a")).await, full, "another connection did not say hello");
}

#[tokio::test(start_paused = true)]
async fn where_no_token_came_there_is_no_time_to_the_first() {
    let backend = Scripted::new("lane", |_, _| Turn::Say(vec![done(0)]));
    let rig = Rig::of(&backend);
    insta::assert_snapshot!(rig.local().ask(&ask_with("a", r#","seed":1"#)).await, @r#"{"type":"done","id":"a","content":"","usage":{"prompt_tokens":1,"completion_tokens":0},"stop_reason":"end","backend":"lane","timings":{"queue_ms":0,"total_ms":0}}"#);
}

#[tokio::test(start_paused = true)]
async fn times_are_counted_from_the_receipt_of_the_request() {
    let (backend, mut called) = dictated();
    let rig = Rig::one_by_one(&backend);
    let mut talk = rig.local();
    talk.send(&ask("first")).await;
    let first = called.next().await;
    talk.send(&ask_with("a", r#","seed":1"#)).await;
    settled().await;
    tokio::time::advance(Duration::from_millis(99)).await;
    first.send(done(0)).await.unwrap();
    let say = called.next().await;
    tokio::time::advance(Duration::from_millis(50)).await;
    say.send(token("1")).await.unwrap();
    settled().await;
    tokio::time::advance(Duration::from_millis(29)).await;
    say.send(done(1)).await.unwrap();
    let frames = talk.frames(2).await;
    let Some(Response::Done { timings, .. }) = frames.last() else { panic!("{frames:?}") };
    insta::assert_debug_snapshot!(timings, @r#"
    Some(
        Timings {
            queue_ms: 100,
            first_token_ms: Some(
                150,
            ),
            total_ms: 180,
        },
    )
    "#);
}

#[tokio::test(start_paused = true)]
async fn progress_is_told_to_those_who_ask_for_it() {
    let (backend, mut called) = dictated();
    let rig = Rig::one_by_one(&backend);
    let mut talk = rig.local();
    talk.send(&ask("silent")).await;
    let silent = called.next().await;
    talk.send(&ask("silent too")).await;
    talk.send(&ask_with("a", r#","progress":true"#)).await;
    settled().await;
    silent.send(done(0)).await.unwrap();
    called.next().await.send(done(0)).await.unwrap();
    called.next().await.send(done(0)).await.unwrap();
    let mut lines = String::new();
    for _ in 0..3 {
        lines += &talk.lines().await;
        lines.push('\n');
    }
    let told: Vec<_> = lines.lines().filter(|line| line.contains("status")).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    {"type":"status","id":"a","status":"queued","position":2}
    {"type":"status","id":"a","status":"queued","position":1}
    {"type":"status","id":"a","status":"running","backend":"lane"}
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_move_to_another_lane_is_told_as_progress() {
    let first = Scripted::refusing("first", inferd_engine::GenerateError::Unavailable("down".to_owned()));
    let second = Scripted::saying("second", &["1"]);
    let lanes = [(first, 0), (second, 1)].map(|(backend, priority)| {
        (backend as Arc<dyn Backend>, LaneConfig { priority, ..LaneConfig::default() })
    });
    let rig = Rig::routing(Router::with_lanes(lanes), Admission::new(1, 4), ConnectionLimits::default());
    insta::assert_snapshot!(rig.local().ask(&ask_with("a", r#","progress":true"#)).await, @r#"
    {"type":"status","id":"a","status":"running","backend":"first"}
    {"type":"status","id":"a","status":"retrying","backend":"second"}
    {"type":"token","id":"a","content":"1"}
    {"type":"done","id":"a","content":"1","usage":{"prompt_tokens":1,"completion_tokens":1},"stop_reason":"end","backend":"second","timings":{"queue_ms":0,"first_token_ms":0,"total_ms":0}}
    "#);
}

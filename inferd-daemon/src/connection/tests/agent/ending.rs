//! How a turn ends that is not answered, and that nothing of it goes on.

use super::*;

/// Until the server hears that a call of its is cancelled.
async fn hears_cancelled(actor: &mut Actor) {
    actor.is_asked("notifications/cancelled").await;
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_is_cancelled_while_tools_run_cancels_them_and_ends_with_what_was_said() {
    let (backend, (stage, mut a, mut b)) = (two_calls(), two_servers().await);
    let rig = Rig::of(&backend).with_servers(&stage, "");
    let mut talk = rig.local();
    talk.send(&agent("r", &json!({}))).await;
    a.is_asked("tools/call").await;
    b.is_asked("tools/call").await;
    let lines = talk.ask(&cancel("r")).await;
    let last = lines.lines().last().unwrap();
    insta::assert_snapshot!(last, @r#"{"type":"done","id":"r","content":"let me look","usage":{"prompt_tokens":0,"completion_tokens":1},"stop_reason":"cancelled","backend":"lane"}"#);
    hears_cancelled(&mut a).await;
    hears_cancelled(&mut b).await;
    assert_eq!((rig.counts(), backend.calls()), ((0, 0), 1));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_vanishes_ends_its_turn_while_the_model_speaks_and_while_tools_run() {
    let (backend, (stage, mut a, _b)) = (
        Scripted::new("lane", |n, _| match n {
            0 => Turn::SayAndHang(vec![token("let me")]),
            _ => Turn::Say(vec![calling(&[("a__x", "{}")])]),
        }),
        two_servers().await,
    );
    let rig = Rig::of(&backend).with_servers(&stage, "");
    let mut talk = rig.tcp();
    talk.send(&agent("r", &json!({}))).await;
    backend.called(1).await;
    drop(talk);
    backend.let_go().await;
    let mut talk = rig.tcp();
    talk.send(&agent("r", &json!({}))).await;
    a.is_asked("tools/call").await;
    drop(talk);
    hears_cancelled(&mut a).await;
    rig.is_empty().await;
    assert_eq!(backend.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_calls_for_ever_is_stopped_after_as_many_steps_as_there_may_be() {
    let (stage, mut a, _b) = two_servers().await;
    let backend = Scripted::new("lane", |_, _| Turn::Say(vec![calling(&[("a__x", "{}")])]));
    let rig = Rig::of(&backend).with_servers(&stage, "");
    let mut talk = rig.local();
    talk.send(&agent("r", &json!({ "max_steps": 3 }))).await;
    for _ in 0..2 {
        let asked = a.is_asked("tools/call").await;
        a.answers(&asked, says("again")).await;
    }
    let lines = talk.lines().await;
    insta::assert_snapshot!(lines.lines().last().unwrap(), @r#"{"type":"error","id":"r","code":"invalid_request","message":"agent.max_steps: no answer after 3 steps"}"#);
    assert_eq!(backend.calls(), 3);
    let unknown = Scripted::new("lane", |_, _| Turn::Say(vec![calling(&[("none", "{}")])]));
    let rig = Rig::of(&unknown);
    let mut talk = rig.local();
    for (fields, steps) in [(json!({}), 10), (json!({ "max_steps": 100 }), 100)] {
        let lines = talk.ask(&agent("r", &fields)).await;
        assert!(lines.ends_with(&format!("no answer after {steps} steps\"}}")), "{lines}");
    }
    assert_eq!(unknown.calls(), 110);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_that_of_the_whole_turn() {
    let (stage, mut a, _b) = two_servers().await;
    let backend = model(vec![vec![calling(&[("a__x", "{}")])]]);
    let rig = Rig::of(&backend).with_servers(&stage, "");
    let mut talk = rig.local();
    let begun = Instant::now();
    talk.send(&ask_with("r", r#","deadline_ms":5000,"agent":{}"#)).await;
    a.is_asked("tools/call").await;
    insta::assert_snapshot!(talk.lines().await, @r#"{"type":"error","id":"r","code":"deadline_exceeded","message":"deadline_ms of 5000 ms passed"}"#);
    assert!(begun.elapsed() <= Duration::from_millis(5010));
    hears_cancelled(&mut a).await;
    let begun = Instant::now();
    let hanging = Rig::of(&Scripted::hanging("lane"));
    let mut talk = hanging.local();
    insta::assert_snapshot!(talk.ask(&ask_with("r", r#","deadline_ms":5000,"agent":{}"#)).await, @r#"{"type":"error","id":"r","code":"deadline_exceeded","message":"deadline_ms of 5000 ms passed"}"#);
    assert!(begun.elapsed() <= Duration::from_millis(5010));
    insta::assert_snapshot!(talk.ask(&ask_with("r", r#","agent":{}"#)).await, @r#"{"type":"error","id":"r","code":"backend_unavailable","message":"no answer after 600 s, which is as long as an agent turn may take"}"#);
}

#[tokio::test(start_paused = true)]
async fn a_step_fails_as_a_request_of_its_own_would() {
    let backend = Scripted::new("lane", |_, _| Turn::Say(vec![token("1")]));
    let rig = Rig::with(&backend, Admission::new(1, 0), ConnectionLimits::default());
    let mut talk = rig.local();
    let lines = talk.ask(&ask_with("r", r#","agent":{}"#)).await;
    insta::assert_snapshot!(lines, @r#"
    {"type":"token","id":"r","content":"1"}
    {"type":"error","id":"r","code":"backend_unavailable","message":"the answer was cut short"}
    "#);
    let hanging = Scripted::hanging("lane");
    let rig = Rig::with(&hanging, Admission::new(1, 0), ConnectionLimits::default());
    let (mut other, mut talk) = (rig.local(), rig.local());
    other.send(&ask("o")).await;
    hanging.called(1).await;
    let lines = talk.ask(&ask_with("r", r#","agent":{}"#)).await;
    insta::assert_snapshot!(lines, @r#"{"type":"error","id":"r","code":"queue_full","message":"queue is full","retry_after_ms":50,"queue":{"running":1,"waiting":0,"capacity":0}}"#);
    let lines = talk.ask(&ask_with("r", r#","model":"none","agent":{}"#)).await;
    insta::assert_snapshot!(lines, @r#"{"type":"error","id":"r","code":"queue_full","message":"queue is full","retry_after_ms":50,"queue":{"running":1,"waiting":0,"capacity":0}}"#);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_configured_no_more_ends_the_turns_on_it() {
    let (stage, mut a, _b) = two_servers().await;
    let backend = model(vec![vec![calling(&[("a__x", "{}")])]]);
    let rig = Rig::of(&backend).with_servers(&stage, "");
    let mut talk = rig.local();
    talk.send(&ask_with("r", r#","agent":{"server":"a"}"#)).await;
    a.is_asked("tools/call").await;
    rig.service.agents.reconfigure([], &[]);
    insta::assert_snapshot!(talk.lines().await, @r#"{"type":"error","id":"r","code":"backend_unavailable","message":"agent.server: it is no longer configured"}"#);
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_stops_ends_every_turn_and_leaves_nothing_running() {
    let (stage, _a, _b) = two_servers().await;
    let backend = Scripted::hanging("lane");
    let rig =
        Rig::with(&backend, Admission::new(64, 64), ConnectionLimits::default()).with_servers(&stage, "");
    let mut talks = Vec::new();
    for n in 0..50 {
        let mut talk = rig.local();
        talk.send(&agent(&n.to_string(), &json!({}))).await;
        talks.push(talk);
    }
    backend.called(50).await;
    rig.service.stop.drain();
    rig.service.stop.end();
    for mut talk in talks {
        assert!(talk.lines().await.ends_with(r#""code":"backend_unavailable","message":"draining"}"#));
    }
    rig.service.agents.dispose().await;
    stage.upstreams.stop().await;
    assert_eq!((backend.alive(), rig.counts()), (0, (0, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_behind_slows_its_turn_and_nothing_piles_up() {
    let backend = Scripted::new("lane", |_, _| Turn::Endless("x".repeat(1000)));
    let rig = Rig::of(&backend);
    let mut talk = rig.connect::<true>(1024, "");
    talk.send(&ask_with("r", r#","agent":{}"#)).await;
    backend.called(1).await;
    settled().await;
    let said = backend.said();
    settled().await;
    assert_eq!(backend.said(), said, "it waits for the reader");
    assert!(said < 300, "{said} events were taken that nobody reads");
    drop(talk);
    backend.let_go().await;
}

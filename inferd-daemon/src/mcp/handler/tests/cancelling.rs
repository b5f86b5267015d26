//! Calls that are wanted no more.

use super::*;
use crate::scripted::Vectors;

#[tokio::test(start_paused = true)]
async fn a_call_that_is_cancelled_drops_its_generation_and_frees_its_slot() {
    let lane = Scripted::new("lane", |_, _| Turn::SayAndHang(vec![token("a")]));
    let rig = Rig::with_gate(lane.clone(), Admission::new(1, 0));
    let mut session = rig.session().await;
    let id = session.begin("generate", json!({ "prompt": "hi" })).await;
    lane.called(1).await;
    session.notify("notifications/cancelled", json!({ "requestId": id, "reason": "changed my mind" })).await;
    lane.let_go().await;
    rig.until(&mut session, |queue| queue.running == 0).await;
    assert_eq!(rig.service().router.state()[0].state, "passing", "nobody is to blame");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_leaves_the_queue_when_it_is_cancelled() {
    let lane = Scripted::hanging("lane");
    let rig = Rig::with_gate(lane.clone(), Admission::new(1, 4));
    let mut session = rig.session().await;
    session.request("logging/setLevel", json!({ "level": "info" })).await;
    session.begin("generate", json!({ "prompt": "a" })).await;
    lane.called(1).await;
    session.hear().await;
    let waits = session.begin("generate", json!({ "prompt": "b" })).await;
    assert_eq!(session.hear().await["params"]["data"]["status"], "queued");
    session.notify("notifications/cancelled", json!({ "requestId": waits })).await;
    rig.until(&mut session, |queue| queue.waiting == 0).await;
    assert_eq!(lane.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_drops_what_it_had_open() {
    let lane = Scripted::hanging("lane");
    let rig = Rig::of(lane.clone());
    let mut session = rig.session().await;
    session.begin("generate", json!({ "prompt": "a" })).await;
    session.begin("generate", json!({ "prompt": "b" })).await;
    lane.called(2).await;
    drop(session);
    lane.let_go().await;
    rig.calls.close();
    timeout(Duration::from_secs(60), rig.calls.wait()).await.expect("no call is left");
}

#[tokio::test(start_paused = true)]
async fn texts_that_are_embedded_are_dropped_too() {
    let rig = Rig::with_gate(Arc::new(Vectors { dimensions: 1, hangs: true }), Admission::new(1, 0));
    let mut session = rig.session().await;
    let id = session.begin("embed", json!({ "input": ["a"] })).await;
    rig.until(&mut session, |queue| queue.running == 1).await;
    session.notify("notifications/cancelled", json!({ "requestId": id })).await;
    rig.until(&mut session, |queue| queue.running == 0).await;
}

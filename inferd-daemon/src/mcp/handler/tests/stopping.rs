//! A daemon that stops.

use super::*;
use crate::scripted::done;

#[tokio::test(start_paused = true)]
async fn a_daemon_that_drains_takes_no_call_and_finishes_those_it_has() {
    let (says, said) = tokio::sync::mpsc::channel(8);
    let said = Mutex::new(Some(said));
    let lane = Scripted::new("lane", move |_, _| Turn::Follow(said.lock().unwrap().take().unwrap()));
    let rig = Rig::of(lane.clone());
    let mut session = rig.session().await;
    let open = session.begin("generate", json!({ "prompt": "a" })).await;
    lane.called(1).await;
    rig.service().stop.drain();
    for (tool, arguments) in [("generate", json!({ "prompt": "b" })), ("embed", json!({ "input": ["b"] }))] {
        let refused = session.call(tool, arguments).await;
        assert_eq!(text(&refused), "backend_unavailable: draining");
    }
    let status = session.call("daemon_status", json!({})).await;
    assert_eq!(status["structuredContent"]["status"], "draining");
    says.send(token("late")).await.unwrap();
    says.send(done(1)).await.unwrap();
    assert_eq!(text(&session.answer(open).await["result"]), "late");
    rig.calls.close();
    timeout(Duration::from_secs(60), rig.calls.wait()).await.expect("no call is left");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_outlives_the_drain_is_told_why_it_ends() {
    let lane = Scripted::hanging("lane");
    let rig = Rig::of(lane.clone());
    let mut session = rig.session().await;
    let open = session.begin("generate", json!({ "prompt": "a" })).await;
    lane.called(1).await;
    rig.service().stop.drain();
    rig.service().stop.end();
    let ended = session.answer(open).await;
    assert_eq!(text(&ended["result"]), "backend_unavailable: draining");
    lane.let_go().await;
}

//! Servers that are away.

use super::*;

fn failure(result: &Value) -> (&str, &Value) {
    assert_eq!(result["isError"], true, "{result}");
    (text(result), &result["structuredContent"]["code"])
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_lost_fails_its_calls_at_once_and_what_it_offered_stays_listed() {
    let (rig, stage, mut files) = with_files().await;
    stage.dismiss("files");
    let mut session = rig.session().await;
    let id = session.begin("files__read", json!({})).await;
    files.is_asked("tools/call").await;
    let begun = Instant::now();
    drop(files);
    let lost = session.answer(id).await["result"].take();
    assert_eq!(
        failure(&lost),
        (
            "backend_unavailable: server `files` was lost during the call: it closed its output",
            &json!("backend_unavailable")
        )
    );
    assert!(begun.elapsed() < Duration::from_secs(1));
    let mut changes = stage.upstreams.changes();
    changes.wait_for(|catalogue| catalogue.tools[0].stale).await.unwrap();
    let begun = Instant::now();
    let away = session.call("files__read", json!({})).await;
    let (said, _) = failure(&away);
    assert!(said.starts_with("backend_unavailable: server `files` is not connected: "), "{said}");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(session.tools().await[6..], ["files__read"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up_and_told() {
    let (rig, _stage, mut files) = with_files().await;
    let mut session = rig.session().await;
    let id = session.begin("files__read", json!({})).await;
    let asked = files.is_asked("tools/call").await;
    let late = session.answer(id).await["result"].take();
    assert_eq!(failure(&late).0, "backend_unavailable: server `files` did not answer within 60 s");
    loop {
        // It is looked after meanwhile.
        let heard = files.hears().await;
        if heard["method"] == "notifications/cancelled" {
            assert_eq!(heard["params"]["requestId"], asked["id"]);
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_server_refuses_is_the_callers_error_with_the_servers_words() {
    let (rig, _stage, mut files) = with_files().await;
    let mut session = rig.session().await;
    for (code, named) in [(-32602, "invalid_request"), (-32603, "backend_unavailable")] {
        let id = session.begin("files__read", json!({})).await;
        let asked = files.is_asked("tools/call").await;
        let error = json!({ "code": code, "message": "no such file" });
        files.says(json!({ "jsonrpc": "2.0", "id": asked["id"], "error": error })).await;
        let refused = session.answer(id).await["result"].take();
        let said = format!("{named}: server `files` refused: no such file");
        assert_eq!(failure(&refused), (said.as_str(), &json!(named)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_stops_for_good_ends_calls_that_are_open() {
    let (rig, _stage, mut files) = with_files().await;
    let mut session = rig.session().await;
    let id = session.begin("files__read", json!({})).await;
    let asked = files.is_asked("tools/call").await;
    rig.service().stop.drain();
    rig.service().stop.end();
    assert_eq!(failure(&session.answer(id).await["result"]).0, "backend_unavailable: draining");
    assert_eq!(files.is_asked("notifications/cancelled").await["params"]["requestId"], asked["id"]);
    assert_eq!(failure(&session.call("files__read", json!({})).await).0, "backend_unavailable: draining");
}

#[tokio::test(start_paused = true)]
async fn the_status_names_servers_that_are_away_with_the_reason() {
    let (rig, stage, files) = with_files().await;
    stage.dismiss("files");
    let mut session = rig.session().await;
    let status = session.call("daemon_status", json!({})).await["structuredContent"].take();
    assert_eq!(
        (&status["servers"][0]["id"], &status["servers"][0]["state"]),
        (&json!("files"), &json!("live"))
    );
    assert_eq!(status["warnings"], Value::Null);
    drop(files);
    stage.upstreams.changes().wait_for(|catalogue| catalogue.tools[0].stale).await.unwrap();
    let status = session.call("daemon_status", json!({})).await["structuredContent"].take();
    let warning = "server `files` is not connected, its 1 tools are as they last were: ";
    assert!(status["warnings"][0].as_str().unwrap().starts_with(warning), "{status}");
}

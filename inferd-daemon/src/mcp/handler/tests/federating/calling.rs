//! Calls of tools of upstream servers.

use super::*;
use crate::audit::{Query, read};
use crate::state::{Settings, State};

#[tokio::test(start_paused = true)]
async fn a_call_in_either_spelling_reaches_its_server_and_its_result_comes_back_whole() {
    let (rig, _stage, mut files) = with_files().await;
    let mut session = rig.session().await;
    for name in ["files__read", "files::read"] {
        let id = session.begin(name, json!({ "path": "a" })).await;
        let asked = files.is_asked("tools/call").await;
        assert_eq!(
            (&asked["params"]["name"], &asked["params"]["arguments"]),
            (&json!("read"), &json!({ "path": "a" }))
        );
        let content = json!([
            { "type": "text", "text": "milk", "annotations": { "priority": 0.5 } },
            { "type": "image", "mimeType": "image/png", "data": "AA==" },
            { "type": "resource_link", "name": "notes", "uri": "file:///n" },
            { "type": "resource_link", "name": "page", "uri": "https://example.com/" },
            { "type": "resource", "resource": { "uri": "file:///m", "text": "eggs" } },
            { "type": "hologram", "depth": 3 },
        ]);
        let meta =
            json!({ "example.com/cost": 3, "io.modelcontextprotocol/related-task": { "taskId": "1" } });
        let result =
            json!({ "content": content, "structuredContent": { "n": 1 }, "isError": true, "_meta": meta });
        files.answers(&asked, result).await;
        let got = session.answer(id).await["result"].take();
        let mut expected = content.as_array().unwrap().clone();
        expected[2]["uri"] = json!("inferd+server://files/file:///n");
        expected[4]["resource"]["uri"] = json!("inferd+server://files/file:///m");
        expected[5] = json!({ "type": "text", "text": r#"{"depth":3,"type":"hologram"}"# });
        assert_eq!(got["content"], json!(expected));
        assert_eq!((&got["structuredContent"], &got["isError"]), (&json!({ "n": 1 }), &json!(true)));
        assert_eq!(got["_meta"], json!({ "example.com/cost": 3 }));
    }
}

#[tokio::test(start_paused = true)]
async fn progress_goes_to_who_gave_a_token_and_the_token_goes_no_further() {
    let (rig, _stage, mut files) = with_files().await;
    let mut session = rig.session().await;
    let meta = json!({ "progressToken": "secret", "example.com/mine": "secret" });
    let call = json!({ "name": "files__read", "arguments": {}, "_meta": meta });
    let id = session.ask("tools/call", call).await;
    let asked = files.is_asked("tools/call").await;
    assert!(!asked.to_string().contains("secret"), "{asked}");
    let token = &asked["params"]["_meta"]["progressToken"];
    for step in [json!({ "progress": 1, "total": 2, "message": "half" }), json!({ "progress": 2.5 })] {
        let mut params = step.clone();
        params["progressToken"] = token.clone();
        files.says(json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params })).await;
        let shown = session.hear().await["params"].take();
        assert_eq!(shown["progressToken"], "secret");
        assert_eq!(shown["progress"].as_f64(), step["progress"].as_f64());
        assert_eq!(
            (&shown["total"].as_f64(), &shown["message"]),
            (&step["total"].as_f64(), &step["message"])
        );
    }
    files.answers(&asked, json!({ "content": [] })).await;
    assert!(session.answer(id).await["error"].is_null());
    assert!(session.notes.is_empty(), "{:?}", session.notes);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_gave_no_token_is_shown_nothing_however_much_its_server_says() {
    let (rig, _stage, mut files) = with_files().await;
    let mut session = rig.session().await;
    let id = session.begin("files__read", json!({})).await;
    let asked = files.is_asked("tools/call").await;
    for progress in 0..1000 {
        let params =
            json!({ "progressToken": asked["params"]["_meta"]["progressToken"], "progress": progress });
        files.says(json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params })).await;
    }
    files.answers(&asked, json!({ "content": [] })).await;
    session.answer(id).await;
    assert!(session.notes.is_empty(), "{:?}", session.notes);
}

#[tokio::test(start_paused = true)]
async fn log_lines_of_a_call_follow_the_level_asked_for() {
    let (rig, _stage, mut files) = with_files().await;
    let mut session = rig.session().await;
    for (level, expected) in [("warning", &["failed"][..]), ("info", &["calling", "failed"])] {
        session.request("logging/setLevel", json!({ "level": level })).await;
        let id = session.begin("files__read", json!({})).await;
        let asked = files.is_asked("tools/call").await;
        let error = json!({ "code": -32602, "message": "no such file" });
        files.says(json!({ "jsonrpc": "2.0", "id": asked["id"], "error": error })).await;
        session.answer(id).await;
        let statuses: Vec<_> = session.logged().iter().map(|line| line["data"]["status"].clone()).collect();
        assert_eq!(statuses, expected);
        assert!(
            session
                .logged()
                .iter()
                .all(|line| line["logger"] == "call" && line["data"]["tool"] == "files::read")
        );
        session.notes.clear();
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_cancelled_is_cancelled_at_its_server() {
    let (rig, _stage, mut files) = with_files().await;
    let mut session = rig.session().await;
    let id = session.begin("files__read", json!({})).await;
    let asked = files.is_asked("tools/call").await;
    session.notify("notifications/cancelled", json!({ "requestId": id })).await;
    let cancelled = files.is_asked("notifications/cancelled").await;
    assert_eq!(cancelled["params"]["requestId"], asked["id"]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_cancels_what_it_has_called() {
    let (rig, _stage, mut files) = with_files().await;
    let mut session = rig.session().await;
    session.begin("files__read", json!({})).await;
    let asked = files.is_asked("tools/call").await;
    drop(session);
    assert_eq!(files.is_asked("notifications/cancelled").await["params"]["requestId"], asked["id"]);
    rig.calls.close();
    timeout(Duration::from_secs(60), rig.calls.wait()).await.expect("no call is left");
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_too_long_for_a_client_is_an_error_that_says_so() {
    let (rig, _stage, mut files) = with_files().await;
    let mut session = rig.session().await;
    let id = session.begin("files__read", json!({})).await;
    let asked = files.is_asked("tools/call").await;
    let long = "x".repeat(9 * 1024 * 1024);
    let (answer, ()) = tokio::join!(
        session.answer(id),
        files.answers(&asked, json!({ "content": [{ "type": "text", "text": long }] }))
    );
    assert_eq!(
        text(&answer["result"]),
        "backend_unavailable: server `files` answered with what is no result: its result exceeds 8388608 bytes of JSON"
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_wants_its_caller_to_generate_is_refused_at_once() {
    let (rig, _stage, mut files) = with_files().await;
    let mut session = rig.session().await;
    let id = session.begin("files__read", json!({})).await;
    let asked = files.is_asked("tools/call").await;
    let params = json!({ "messages": [], "maxTokens": 1 });
    files
        .says(json!({ "jsonrpc": "2.0", "id": "s", "method": "sampling/createMessage", "params": params }))
        .await;
    let refused = files.hears().await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!("s"), &json!(-32601)), "{refused}");
    let failed = json!({ "content": [{ "type": "text", "text": "cannot sample" }], "isError": true });
    files.answers(&asked, failed).await;
    assert_eq!(text(&session.answer(id).await["result"]), "cannot sample");
}

#[tokio::test]
async fn every_call_leaves_a_row_that_names_its_tool_and_its_server() {
    let (rig, _stage, mut files) = with_files().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let state = State::open(Settings::new(path.clone(), 30)).unwrap();
    rig.terms.send_modify(|terms| {
        let audit = Audit::new(state.clone());
        terms.service = Arc::new(Service { audit, ..(*terms.service).clone() });
    });
    let mut session = rig.session().await;
    for is_error in [false, true] {
        let id = session.begin("files__read", json!({ "path": "a" })).await;
        let asked = files.is_asked("tools/call").await;
        let content = json!([{ "type": "text", "text": "milk" }]);
        files.answers(&asked, json!({ "content": content, "isError": is_error })).await;
        session.answer(id).await;
    }
    drop(files);
    let id = session.begin("files::read", json!({})).await;
    session.answer(id).await;
    state.close().await;
    let rows = read(&path, &Query { since: None, count: 10 }).unwrap();
    let told = |row: &crate::audit::Logged| {
        (row.kind.clone(), row.door.clone(), row.lane.clone(), row.model.clone(), row.outcome.clone())
    };
    for (row, outcome) in rows.iter().zip(["served", "failed"]) {
        let own = |text: &str| text.to_owned();
        let expected = (own("call"), own("mcp"), Some(own("files")), Some(own("files::read")), own(outcome));
        assert_eq!(told(row), expected);
        assert!(row.request_bytes > 0 && row.answer_bytes > 0, "{row:?}");
    }
    assert_eq!(rows[1].reason.as_deref(), Some("tool_failed"));
    let third = rows[2].reason.as_deref().unwrap();
    assert!(["lost", "not_connected"].contains(&third), "{third}");
}

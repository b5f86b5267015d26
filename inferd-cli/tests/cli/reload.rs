//! What `reload` says, and how it ends.

use serde_json::json;

use crate::scripted::{Daemon, ended, program};

#[tokio::test]
async fn what_changed_goes_to_standard_output_and_what_waits_to_standard_error() {
    let daemon = Daemon::listening_at("admin.sock");
    let child = daemon.run(&["reload"]);
    let mut talk = daemon.accept().await;
    talk.says(json!({"id": "admin", "type": "status", "status": "ready"})).await;
    assert_eq!(talk.hears().await, json!({"type": "reload"}));
    talk.says(json!({"id": "admin", "type": "status", "status": "ready"})).await;
    talk.says(json!({
        "id": "admin", "type": "reloaded", "kept": ["a"], "added": ["b", "c"], "needs_restart": ["[listen] tcp"],
    }))
    .await;
    let (status, stdout, stderr) = ended(child).await;
    assert_eq!((status, stdout.as_str()), (Some(0), "kept      a\nadded     b, c\n"));
    insta::assert_snapshot!(stderr, @"inferd-cli: [listen] tcp has changed and waits for a restart");
}

#[tokio::test]
async fn a_refusal_is_told_with_its_reason_and_its_code() {
    let daemon = Daemon::listening_at("admin.sock");
    let child = daemon.run(&["reload"]);
    let mut talk = daemon.accept().await;
    assert_eq!(talk.hears().await, json!({"type": "reload"}));
    let message = "cannot use inferd.toml: line 3: [admission] active: expected a whole number";
    talk.says(json!({"id": "admin", "type": "error", "code": "invalid_request", "message": message})).await;
    let (status, stdout, stderr) = ended(child).await;
    assert_eq!((status, stdout.as_str()), (Some(5), ""));
    insta::assert_snapshot!(stderr, @"inferd-cli: the daemon refused: cannot use inferd.toml: line 3: [admission] active: expected a whole number");
}

#[tokio::test]
async fn without_a_daemon_there_is_nothing_to_reload() {
    let child = program(&["reload", "--connect", "/nonexistent/infer.sock"]).spawn().unwrap();
    assert_eq!(ended(child).await.0, Some(10));
}

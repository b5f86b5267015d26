//! What `status` says, and how it ends.

use serde_json::json;

use crate::scripted::{Daemon, ended, program};

#[tokio::test]
async fn the_snapshot_is_printed_as_the_daemon_sent_it_where_json_is_wanted() {
    let daemon = Daemon::listening_at("admin.sock");
    let child = daemon.run(&["status", "--json"]);
    let mut talk = daemon.accept().await;
    let snapshot = json!({"id": "admin", "type": "snapshot", "version": "0.3.0", "later": {"field": 1}});
    talk.says(json!({"id": "admin", "type": "status", "status": "ready"})).await;
    assert_eq!(talk.hears().await, json!({"type": "snapshot"}));
    talk.says(snapshot.clone()).await;
    let (status, stdout, stderr) = ended(child).await;
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&stdout).unwrap(), snapshot);
}

#[tokio::test]
async fn no_daemon_is_an_exit_code_and_a_sentence() {
    let (status, stdout, stderr) =
        ended(program(&["status", "--connect", "/nonexistent/infer.sock"]).spawn().unwrap()).await;
    assert_eq!((status, stdout.as_str()), (Some(10), ""));
    insta::assert_snapshot!(stderr, @"inferd-cli: no daemon is running: nobody listens at /nonexistent/admin.sock");
}

#[tokio::test]
async fn the_state_of_another_machine_is_not_to_be_had() {
    let (status, ..) = ended(program(&["status", "--connect", "tcp://127.0.0.1:1"]).spawn().unwrap()).await;
    assert_eq!(status, Some(2));
}

//! What there is to be asked.

use serde_json::{Value, json};

use crate::scripted::{Daemon, ended, program};

fn hello() -> Value {
    json!({
        "type": "hello", "protocol": 1, "version": "0.3.0", "features": ["cancel"],
        "limits": {"frame_bytes_max": 1, "open_requests_max": 1, "active": 1, "queue_depth": 1},
        "models": [
            {"name": "llama3.1:8b", "backend": "ollama-11434", "ready": true, "kind": "ollama"},
            {"name": "*", "backend": "cloud", "ready": false},
        ],
    })
}

#[tokio::test]
async fn models_are_a_table_for_people() {
    let daemon = Daemon::new();
    let child = daemon.run(&["models"]);
    let mut talk = daemon.accept().await;
    assert_eq!(talk.hears().await, json!({"type": "hello"}));
    talk.says(hello()).await;
    let (status, stdout, stderr) = ended(child).await;
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(stdout, @r"
    NAME         BACKEND       KIND    READY
    llama3.1:8b  ollama-11434  ollama  yes
    *            cloud                 no
    ");
}

#[tokio::test]
async fn models_are_what_the_daemon_said_where_json_is_wanted() {
    let daemon = Daemon::new();
    let child = daemon.run(&["models", "--json"]);
    let mut talk = daemon.accept().await;
    talk.hears().await;
    talk.says(hello()).await;
    let (status, stdout, _) = ended(child).await;
    assert_eq!((status, serde_json::from_str::<Value>(&stdout).unwrap()), (Some(0), hello()));
}

#[tokio::test]
async fn a_daemon_too_old_to_list_its_models_says_so() {
    let daemon = Daemon::new();
    let child = daemon.run(&["models"]);
    let mut talk = daemon.accept().await;
    talk.hears().await;
    talk.error("", "invalid_request", "missing field `messages`").await;
    let (status, stdout, stderr) = ended(child).await;
    assert_eq!((status, stdout.as_str()), (Some(10), ""));
    insta::assert_snapshot!(stderr, @"inferd-cli: daemon does not say what it can do: missing field `messages`");
}

#[tokio::test]
async fn no_daemon_where_one_was_named_is_an_exit_code() {
    let child = program(&["models", "--connect", "/nonexistent/infer.sock"]).spawn().unwrap();
    assert_eq!(ended(child).await.0, Some(10));
}

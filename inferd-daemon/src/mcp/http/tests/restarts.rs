//! Sessions that outlive the daemon.

use std::path::Path;

use super::streams::{open, resume};
use super::*;
use crate::mcp::scripted::call;
use crate::mcp::session::SessionStore;
use crate::state::{Settings, State};

async fn begin(dir: &Path) -> (Rig, State) {
    let state = State::open(Settings::new(dir.join("state.db"), 30)).unwrap();
    (Rig::of(&McpConfig::default(), SessionStore::on_shelf(state.clone()).await), state)
}

/// What was written is there, and nothing else: nobody was told.
async fn crash((rig, state): (Rig, State)) {
    rig.sessions.save_now().await.unwrap();
    drop(rig);
    state.close().await;
}

#[tokio::test]
async fn a_session_goes_on_after_a_restart_from_where_its_client_was() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, state) = begin(dir.path()).await;
    let head = rig.session("").await;
    for id in 1..=3 {
        rig.connect().ask(&post(&head, &call(id, "tell", &json!({})))).await;
    }
    let mut waiting = open(&rig, &post(&head, &call(4, "wait", &json!({})))).await;
    waiting.event().await;
    crash((rig, state)).await;

    let (rig, _state) = begin(dir.path()).await;
    let mut standing = open(&rig, &resume(&head, "0-2")).await;
    standing.event().await;
    assert_eq!(standing.ids(1).await, [Some("0-3".to_owned())]);
    // A call that the restart cut off is answered: it failed.
    let cut = rig.connect().ask(&resume(&head, "4-0")).await.events();
    let last = cut.last().unwrap().json();
    assert_eq!((&last["id"], &last["error"]["code"]), (&json!(4), &json!(-32603)));
    // The next one is not.
    let told = rig.connect().ask(&post(&head, &call(5, "tell", &json!({})))).await.events();
    assert_eq!(told.last().unwrap().json()["id"], json!(5));
    let next = standing.event().await.unwrap();
    assert_eq!(next.json()["method"], json!("notifications/tools/list_changed"));
    let id: u64 = next.id.unwrap().trim_start_matches("0-").parse().unwrap();
    assert!(id > 3, "no id is given twice");
    assert_eq!(rig.sessions.len(), 1);
    assert_eq!(rig.connect().ask(&delete(&head)).await.status, 204);
    assert_eq!(rig.connect().ask(&post(&head, &ping())).await.status, 404);
}

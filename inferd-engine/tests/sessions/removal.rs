use async_trait::async_trait;
use inferd_engine::servers::{ApiError, Room, RuntimeError, ServerApi, Spawn, Thread};

use super::*;

#[tokio::test]
async fn a_server_that_is_added_again_has_a_new_runtime_and_nothing_of_the_old_one() {
    let (old, new) = (model([ScriptedTurn::silence()]), model([ScriptedTurn::say("new")]));
    let runtime = servers([connection("prod", old.clone())]);
    let session = runtime.spawn("prod", "r1", "hi").await.unwrap();
    old.until_begun(1).await;
    let before = runtime.runtime_for("prod").unwrap();
    let removed = runtime.registry().remove("prod").unwrap();
    assert_eq!(runtime.runtime_for("prod").map(drop), Err(RuntimeError::UnknownServer("prod".to_owned())));
    runtime.registry().add(ServerConnection { runs: new.clone(), ..removed }).unwrap();
    let after = runtime.runtime_for("prod").unwrap();
    assert!(!Arc::ptr_eq(&before, &after));
    assert!(Arc::ptr_eq(&after, &runtime.runtime_for("prod").unwrap()));
    assert_eq!(session.result().await, AgentResult::Cancelled);
    assert!(runtime.active_sessions().is_empty());
    let refused = before.spawn("r1", "hi").await.map(drop);
    assert_eq!(refused, Err(RuntimeError::UnknownServer("prod".to_owned())), "it is not that one any more");
    let session = runtime.spawn("prod", "r1", "hi").await.unwrap();
    assert_eq!(session.result().await.text(), Some("new"));
    assert_eq!((old.begun(), old.live(), new.begun()), (1, 0, 1));
}

#[tokio::test]
async fn removing_a_server_leaves_the_sessions_of_others_alone() {
    let other = model([ScriptedTurn::silence()]);
    let runtime =
        servers([connection("prod", model([ScriptedTurn::silence()])), connection("staging", other.clone())]);
    let ending = runtime.spawn("prod", "r1", "hi").await.unwrap();
    let staying = runtime.spawn("staging", "r1", "hi").await.unwrap();
    runtime.registry().remove("prod");
    assert_eq!(ending.result().await, AgentResult::Cancelled);
    other.until_live(1).await;
    assert_eq!(staying.ended(), None);
}

#[tokio::test]
async fn a_spawn_racing_a_removal_fails_and_leaves_nothing() {
    let api = Arc::new(FakeApi::default().shut());
    let runs = model([ScriptedTurn::say("ok")]);
    let runtime = servers([ServerConnection::new("prod", api.clone(), runs.clone()).unwrap()]);
    let removing = async {
        api.until_asked(1).await;
        runtime.registry().remove("prod");
        api.open(1);
    };
    let (spawned, ()) = tokio::join!(runtime.spawn("prod", "r1", "hi"), removing);
    assert_eq!(spawned.map(drop), Err(RuntimeError::UnknownServer("prod".to_owned())));
    assert_eq!(runs.begun(), 0);
}

#[tokio::test]
async fn a_thread_has_one_session_at_a_time() {
    let runs = model([ScriptedTurn::silence(), ScriptedTurn::say("ok")]);
    let runtime = runtime(runs, having([]), Limits::default());
    let in_thread = || runtime.spawn_with(Spawn::prompt("r1", "hi").in_thread("t"));
    let first = in_thread().await.unwrap();
    let refused = in_thread().await.map(drop);
    assert_eq!(refused, Err(RuntimeError::ThreadBusy(first.thread_key().clone())));
    // The same name in another room is another thread.
    let elsewhere = runtime.spawn_with(Spawn::prompt("r2", "hi").in_thread("t")).await;
    assert!(elsewhere.is_ok());
    first.cancel();
    first.result().await;
    assert!(in_thread().await.is_ok());
}

/// A server that is removed while it opens a thread, which it does all the same.
struct RemovedMeanwhile(ServerRegistry);

#[async_trait]
impl ServerApi for RemovedMeanwhile {
    async fn rooms(&self) -> Result<Vec<Room>, ApiError> {
        Ok(vec![Room::new("r1")])
    }

    async fn open_thread(&self, _room_id: &str, _thread_id: Option<&str>) -> Result<Thread, ApiError> {
        self.0.remove("prod");
        Ok(Thread { id: "t".to_owned(), messages: Vec::new() })
    }

    async fn tools(&self, _room_id: &str) -> Result<ToolRegistry, ApiError> {
        Ok(ToolRegistry::new())
    }
}

#[tokio::test]
async fn a_removal_at_the_last_moment_is_not_missed() {
    let registry = ServerRegistry::new();
    let runs = model([ScriptedTurn::say("ok")]);
    let api = Arc::new(RemovedMeanwhile(registry.clone()));
    registry.add(ServerConnection::new("prod", api, runs.clone()).unwrap()).unwrap();
    let runtime = MultiServerRuntime::new(registry, having([]), Limits::default());
    let refused = runtime.spawn("prod", "r1", "hi").await.map(drop);
    assert_eq!(refused, Err(RuntimeError::UnknownServer("prod".to_owned())));
    assert!(runtime.active_sessions().is_empty());
}

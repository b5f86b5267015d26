use std::sync::{OnceLock, Weak};

use inferd_engine::servers::{Limited, RuntimeError};
use tokio::runtime::Handle;
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;

use super::*;

#[tokio::test]
async fn sixty_four_sessions_run_at_once_on_all_servers_together_and_the_next_is_refused() {
    let runs = model([ScriptedTurn::silence()]);
    let runtime = servers([connection("prod", runs.clone()), connection("staging", runs.clone())]);
    let mut sessions = Vec::new();
    for n in 0..64 {
        let server_id = if n % 2 == 0 { "prod" } else { "staging" };
        sessions.push(runtime.spawn(server_id, "r1", "hi").await.unwrap());
    }
    runs.until_live(64).await;
    assert_eq!(runtime.active_sessions().len(), 64);
    let refused = runtime.spawn("prod", "r1", "hi").await.map(drop);
    assert_eq!(refused, Err(RuntimeError::Limit { what: Limited::Sessions, max: 64 }));
    sessions[0].cancel();
    sessions[0].result().await;
    assert!(runtime.spawn("staging", "r1", "hi").await.is_ok(), "its room is free once its result is known");
}

/// A runtime whose only tool asks a model that has it too, and so on, as deep as it may.
fn nested(answered: &'static OnceLock<Weak<AgentRuntime>>) -> (Arc<ScriptedRuns>, Arc<AgentRuntime>) {
    let deeper = tool("deeper", |_call: ToolInvocation| async {
        let runtime = answered.get().and_then(Weak::upgrade).expect("it is there while it is called");
        let session = runtime.spawn("r1", "deeper").await;
        let session = session.map_err(|error| ToolError::Failed(error.to_string()))?;
        match session.result().await.text() {
            Some(text) => Ok(text.into()),
            None => Err(ToolError::Failed("no answer".to_owned())),
        }
    });
    // Eight that call it, of which the last is refused and hears so; then all answer.
    let turns = std::iter::repeat_n(ScriptedTurn::call("deeper", "{}"), 8);
    let runs = model(turns.chain([ScriptedTurn::say("done")]));
    (runs.clone(), Arc::new(runtime(runs, having([deeper]), Limits::default())))
}

#[tokio::test]
async fn sessions_stand_eight_deep_and_no_deeper() {
    static RUNTIME: OnceLock<Weak<AgentRuntime>> = OnceLock::new();
    let (runs, runtime) = nested(&RUNTIME);
    RUNTIME.set(Arc::downgrade(&runtime)).unwrap();
    assert_eq!(run(&runtime).await.text(), Some("done"));
    let refused: Vec<_> = runs.requests().iter().flat_map(results).filter(|text| text != "done").collect();
    assert_eq!(refused, ["error: at most 8 sessions may run one within another"]);
    assert_eq!(runs.begun(), 16);
    assert!(runtime.active_sessions().is_empty());
}

#[tokio::test]
async fn cancelling_a_session_cancels_those_within_it() {
    let inner = model([ScriptedTurn::silence()]);
    let within = Arc::new(runtime(inner.clone(), having([]), Limits::default()));
    let asking = tool("asking", move |_call: ToolInvocation| {
        let within = Arc::clone(&within);
        async move {
            let session = within.spawn("r1", "hi").await.expect("there is room");
            session.result().await;
            Ok("".into())
        }
    });
    let outer = runtime(calling(["asking"]), having([asking]), Limits::default());
    let session = outer.spawn("r1", "hi").await.unwrap();
    inner.until_begun(1).await;
    session.cancel();
    assert_eq!(session.result().await, AgentResult::Cancelled);
    inner.until_live(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disposing_during_fifty_running_sessions_leaves_no_task() {
    let before = Handle::current().metrics().num_alive_tasks();
    let runs = model([
        ScriptedTurn::silence(),
        ScriptedTurn::NeverBegin,
        ScriptedTurn::call("silent", "{}"),
        ScriptedTurn::Endless("la".to_owned()),
        ScriptedTurn::silence(),
    ]);
    let registry = ServerRegistry::new();
    for server_id in ["a", "b", "c"] {
        registry.add(connection(server_id, runs.clone())).unwrap();
    }
    let limits = Limits { turn_bytes_max: usize::MAX, ..Limits::default() };
    let runtime = MultiServerRuntime::new(registry, having([silent("silent")]), limits);
    let mut sessions = Vec::new();
    let mut readers = Vec::new();
    for n in 0..50 {
        let session = runtime.spawn(["a", "b", "c"][n % 3], "r1", "hi").await.unwrap();
        readers.extend(session.events().filter(|_| n % 2 == 0));
        sessions.push(session);
    }
    runs.until_begun(50).await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), before + 50);
    runtime.dispose().await;
    for session in &sessions {
        assert_eq!(session.ended(), Some(AgentResult::Cancelled));
    }
    assert_eq!(runs.live(), 0);
    // The futures are gone; a worker may be about to count its last task out.
    let counted_out = async {
        while Handle::current().metrics().num_alive_tasks() > before {
            yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), counted_out).await.expect("a task is left");
}

#[tokio::test(start_paused = true)]
async fn a_spawn_racing_dispose_fails_and_leaves_nothing() {
    let api = Arc::new(FakeApi::default().shut());
    let runs = model([ScriptedTurn::say("ok")]);
    let runtime = servers([ServerConnection::new("prod", api.clone(), runs.clone()).unwrap()]);
    let disposing = async {
        api.until_asked(1).await;
        // The server never answers: nobody waits for it any more.
        runtime.dispose().await;
    };
    let (spawned, ()) = tokio::join!(runtime.spawn("prod", "r1", "hi"), disposing);
    assert_eq!(spawned.map(drop), Err(RuntimeError::Disposed));
    assert_eq!(runs.begun(), 0);
    assert!(runtime.active_sessions().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_spawns_while_others_dispose_has_a_session_that_ends_or_none() {
    for _ in 0..200 {
        let runs = model([ScriptedTurn::silence()]);
        let runtime = Arc::new(servers([connection("prod", runs.clone())]));
        let mut spawning = JoinSet::new();
        for _ in 0..4 {
            let runtime = Arc::clone(&runtime);
            spawning.spawn(async move { runtime.spawn("prod", "r1", "hi").await });
        }
        let mut disposing = JoinSet::new();
        for _ in 0..2 {
            let runtime = Arc::clone(&runtime);
            let runs = runs.clone();
            disposing.spawn(async move {
                runtime.dispose().await;
                runs.live()
            });
        }
        assert_eq!(disposing.join_all().await, [0, 0], "a session outlived its runtime");
        for spawned in spawning.join_all().await {
            match spawned {
                Ok(session) => assert_eq!(session.ended(), Some(AgentResult::Cancelled)),
                Err(error) => assert_eq!(error, RuntimeError::Disposed),
            }
        }
        assert_eq!(runs.live(), 0);
    }
}

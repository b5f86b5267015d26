use inferd_engine::GenerateError;
use inferd_engine::servers::{AgentFailure, AgentSession, RuntimeError};
use tokio::time::Instant;

use super::*;

fn after(delay: u64, turn: ScriptedTurn) -> ScriptedTurn {
    ScriptedTurn::After(ms(delay), Box::new(turn))
}

fn down(why: &str) -> ScriptedTurn {
    ScriptedTurn::Refuse(GenerateError::Unavailable(why.to_owned()))
}

/// Three servers, each with a session under way.
struct Three {
    runtime: MultiServerRuntime,
    models: [Arc<ScriptedRuns>; 3],
    sessions: [AgentSession; 3],
}

async fn three(turns: [ScriptedTurn; 3]) -> Three {
    let models = turns.map(|turn| model([turn]));
    let [a, b, c] = models.each_ref();
    let runtime =
        servers([connection("a", a.clone()), connection("b", b.clone()), connection("c", c.clone())]);
    let mut sessions = Vec::new();
    for server_id in ["a", "b", "c"] {
        sessions.push(runtime.spawn(server_id, "r1", "hi").await.expect("there is room"));
    }
    Three { runtime, models, sessions: sessions.try_into().expect("there are three") }
}

#[tokio::test(start_paused = true)]
async fn the_first_success_counts_and_the_rest_goes_on_unless_asked_otherwise() {
    let turns = || {
        [after(30, ScriptedTurn::say("late")), after(10, down("x")), after(20, ScriptedTurn::say("first"))]
    };
    let Three { runtime, sessions, .. } = three(turns()).await;
    let (key, result) = runtime.wait_any(&sessions, None).await.unwrap();
    assert_eq!((&*key.server_id, result.text()), ("c", Some("first")));
    assert_eq!(sessions[0].result().await.text(), Some("late"));

    let Three { runtime, sessions, models } = three(turns()).await;
    let (key, result) = runtime.first_success_cancel_rest(&sessions, None).await.unwrap();
    assert_eq!((&*key.server_id, result.text()), ("c", Some("first")));
    assert_eq!(sessions[0].result().await, AgentResult::Cancelled);
    assert_eq!(models[0].live(), 0, "its generation was dropped");
    assert_eq!(sessions[2].result().await.text(), Some("first"), "the winner has its result");
}

#[tokio::test(start_paused = true)]
async fn where_none_succeeds_the_last_failure_counts() {
    let turns = [after(10, down("x")), after(30, down("last")), after(20, down("y"))];
    let Three { runtime, sessions, .. } = three(turns).await;
    let (key, result) = runtime.wait_any(&sessions, None).await.unwrap();
    let last = AgentFailure::Generate(GenerateError::Unavailable("last".to_owned()));
    assert_eq!((&*key.server_id, result), ("b", AgentResult::Failure(last)));
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_any_ends_with_its_time_out_and_cancels_only_if_asked() {
    let hanging = || [ScriptedTurn::silence(), after(10, down("x")), ScriptedTurn::silence()];
    let Three { runtime, sessions, .. } = three(hanging()).await;
    let began = Instant::now();
    let waited = runtime.wait_any(&sessions, Some(ms(250))).await;
    assert_eq!(waited, Err(RuntimeError::WaitTimedOut(ms(250))));
    assert_eq!(began.elapsed(), ms(250));
    assert_eq!(sessions[0].ended(), None);

    let waited = runtime.first_success_cancel_rest(&sessions, Some(ms(250))).await;
    assert_eq!(waited, Err(RuntimeError::WaitTimedOut(ms(250))));
    assert_eq!(sessions[0].result().await, AgentResult::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_all_ends_with_its_time_out_and_loses_no_result() {
    let turns = [ScriptedTurn::say("a"), ScriptedTurn::silence(), after(100, ScriptedTurn::say("c"))];
    let Three { runtime, sessions, .. } = three(turns).await;
    let began = Instant::now();
    let results = runtime.wait_all(&sessions, Some(ms(250))).await;
    assert_eq!(began.elapsed(), ms(250));
    assert_eq!(results[1], AgentResult::TimedOut);
    assert_eq!((results[0].text(), results[2].text()), (Some("a"), Some("c")));
    assert_eq!(sessions[1].ended(), None, "it goes on");
}

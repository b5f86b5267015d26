use inferd_engine::servers::{RuntimeError, Spawn};
use tokio::time::{Instant, sleep};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_session_wherever_it_is() {
    for (runs, tools) in [
        (model([ScriptedTurn::NeverBegin]), having([])),
        (model([ScriptedTurn::silence()]), having([])),
        (model([ScriptedTurn::Endless("la".to_owned())]), having([])),
        (calling(["silent"]), having([silent("silent")])),
    ] {
        let limits = Limits { deadline: Some(ms(500)), turn_bytes_max: usize::MAX, ..Limits::default() };
        let runtime = runtime(runs.clone(), tools, limits);
        let session = runtime.spawn("r1", "hi").await.unwrap();
        // Somebody who does not read: the endless one waits for them.
        let _unread = session.events().unwrap();
        let began = Instant::now();
        assert_eq!(session.result().await, AgentResult::TimedOut);
        assert_eq!(began.elapsed(), ms(500));
        assert_eq!(runs.live(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_shorter_deadline_counts_and_every_turn_knows_what_is_left() {
    for (limit, asked, left) in [(ms(900), ms(400), ms(400)), (ms(400), ms(900), ms(400))] {
        let slow = tool("slow", |_call: ToolInvocation| async {
            sleep(ms(150)).await;
            Ok("".into())
        });
        let turns = [ScriptedTurn::call("slow", "{}"), ScriptedTurn::silence()];
        let runs = model(turns);
        let limits = Limits { deadline: Some(limit), ..Limits::default() };
        let runtime = runtime(runs.clone(), having([slow]), limits);
        let mut spawn = Spawn::prompt("r1", "hi");
        spawn.request.deadline = Some(asked);
        let began = Instant::now();
        assert_eq!(runtime.spawn_with(spawn).await.unwrap().result().await, AgentResult::TimedOut);
        assert_eq!(began.elapsed(), left);
        let deadlines: Vec<_> = runs.requests().iter().map(|request| request.deadline).collect();
        assert_eq!(deadlines, [Some(left), Some(left.checked_sub(ms(150)).unwrap())]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_no_clock_can_name_is_none() {
    let limits = Limits { deadline: None, ..Limits::default() };
    let runtime = runtime(model([ScriptedTurn::say("ok")]), having([]), limits);
    let mut spawn = Spawn::prompt("r1", "hi");
    spawn.request.deadline = Some(Duration::MAX);
    assert_eq!(runtime.spawn_with(spawn).await.unwrap().result().await.text(), Some("ok"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_opens_no_session_is_waited_for_no_longer_than_the_limit_or_the_deadline() {
    for (asked, after) in [(None, Limits::default().spawn_timeout), (Some(ms(300)), ms(300))] {
        let api = Arc::new(FakeApi::default().shut());
        let runtime = runtime_with(api, model([ScriptedTurn::say("ok")]), having([]));
        let mut spawn = Spawn::prompt("r1", "hi");
        spawn.request.deadline = asked;
        let refused = runtime.spawn_with(spawn).await.map(drop);
        let server_id = runtime.server_id().clone();
        assert_eq!(refused, Err(RuntimeError::SpawnTimedOut { server_id, after }));
        assert!(runtime.active_sessions().is_empty());
    }
}

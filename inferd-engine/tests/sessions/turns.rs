use inferd_engine::servers::{AgentFailure, ApiError, Room, RuntimeError, Spawn};
use inferd_engine::{GenerateError, TokenEvent};
use inferd_proto::{StopReason, Tool, ToolChoice, ToolMode, Usage};

use super::*;

fn failed(failure: impl Into<AgentFailure>) -> AgentResult {
    AgentResult::Failure(failure.into())
}

#[tokio::test]
async fn a_session_goes_from_turn_to_turn_until_the_model_answers() {
    let two = [("echo".to_owned(), r#"{"n":1}"#.to_owned()), ("echo".to_owned(), r#"{"n":2}"#.to_owned())];
    let turns = [ScriptedTurn::Call(two.into()), ScriptedTurn::call("echo", ""), ScriptedTurn::say("done")];
    let runs = model(turns);
    let result = run(&runtime(runs.clone(), having([echo("echo")]), Limits::default())).await;
    let expected = AgentResult::Success {
        text: "done".to_owned(),
        steps: 3,
        usage: Usage { prompt_tokens: 3, completion_tokens: 3 },
        stop_reason: StopReason::End,
        model: Some("scripted".to_owned()),
    };
    assert_eq!(result, expected);
    let requests = runs.requests();
    assert_eq!(said(&requests[0].messages), [(Role::User, "hi".to_owned())]);
    let last = &requests[2].messages;
    assert_eq!(
        said(last)[1..],
        [
            (Role::Assistant, String::new()),
            (Role::Tool, r#"{"n":1}"#.to_owned()),
            (Role::Tool, r#"{"n":2}"#.to_owned()),
            (Role::Assistant, String::new()),
            (Role::Tool, "{}".to_owned()),
        ]
    );
    let called: Vec<&str> = last[1].content.tool_calls.iter().map(|call| call.id.as_str()).collect();
    let answered: Vec<_> = last[2..4].iter().map(|message| message.content.tool_call_id.as_deref()).collect();
    assert_eq!(called.into_iter().map(Some).collect::<Vec<_>>(), answered);
}

#[tokio::test]
async fn a_model_that_loops_for_ever_is_stopped_and_its_last_calls_are_not_made() {
    let runs = model([ScriptedTurn::call("echo", "{}")]);
    let runtime = runtime(runs.clone(), having([echo("echo")]), Limits::default());
    let session = runtime.spawn("r1", "hi").await.unwrap();
    assert_eq!(session.result().await, failed(AgentFailure::MaxSteps(10)));
    assert_eq!(runs.begun(), 10);
    assert_eq!(results(&runs.requests()[9]).len(), 9);
    let mut events = session.events().unwrap();
    let mut called = 0;
    while let Some(event) = events.next().await {
        called += usize::from(matches!(event, inferd_engine::servers::AgentEvent::Calling { .. }));
    }
    assert_eq!(called, 9);
}

#[tokio::test]
async fn a_session_may_ask_for_fewer_steps_and_not_for_more() {
    for (asked, steps) in [(Some(3), 3), (Some(0), 1), (Some(1000), 10), (None, 10)] {
        let runs = model([ScriptedTurn::call("echo", "{}")]);
        let runtime = runtime(runs.clone(), having([echo("echo")]), Limits::default());
        let spawn = Spawn { max_steps: asked, ..Spawn::prompt("r1", "hi") };
        let result = runtime.spawn_with(spawn).await.unwrap().result().await;
        assert_eq!(result, failed(AgentFailure::MaxSteps(steps)), "{asked:?}");
    }
}

#[tokio::test]
async fn a_turn_that_goes_wrong_ends_the_session_with_its_reason() {
    let down = GenerateError::Unavailable("gone".to_owned());
    let said = TokenEvent::Token("well".to_owned());
    for (turn, failure) in [
        (ScriptedTurn::Refuse(down.clone()), failed(down.clone())),
        (ScriptedTurn::Events(vec![said.clone(), TokenEvent::Failed(down.clone())]), failed(down)),
        (ScriptedTurn::Events(vec![said]), failed(AgentFailure::CutShort)),
        (ScriptedTurn::Panic, failed(AgentFailure::Internal)),
    ] {
        let runtime = runtime(model([turn]), having([]), Limits::default());
        assert_eq!(run(&runtime).await, failure);
        assert!(runtime.active_sessions().is_empty());
    }
}

#[tokio::test]
async fn a_model_that_will_not_stop_talking_is_stopped() {
    let runs = model([ScriptedTurn::Endless("la".to_owned())]);
    let limits = Limits { turn_bytes_max: 1000, ..Limits::default() };
    let result = run(&runtime(runs.clone(), having([]), limits)).await;
    assert_eq!(result, failed(AgentFailure::TurnTooLong(1000)));
    assert_eq!(runs.live(), 0);
    let calls = vec![("x".to_owned(), "[".repeat(1000))];
    let limits = Limits { turn_bytes_max: 1000, ..Limits::default() };
    let result = run(&runtime(model([ScriptedTurn::Call(calls)]), having([]), limits)).await;
    assert_eq!(result, failed(AgentFailure::TurnTooLong(1000)));
}

#[tokio::test]
async fn a_room_gives_its_instructions_its_model_and_its_tools() {
    let room = Room {
        id: "r1".to_owned(),
        system: Some("be terse".to_owned()),
        model: Some("fast".to_owned()),
        tools: Some(vec!["files::read_*".to_owned()]),
    };
    let runs = model([ScriptedTurn::say("ok")]);
    let tools = having([echo("files::read_one"), echo("files::write"), echo("prod::x")]);
    let runtime = runtime_with(Arc::new(FakeApi::with_rooms(vec![room])), runs.clone(), tools);
    run(&runtime).await;
    let mut other = Spawn::prompt("r1", "hi");
    other.request.model = Some("slow".to_owned());
    runtime.spawn_with(other).await.unwrap().result().await;
    let [first, second] = runs.requests().try_into().unwrap();
    assert_eq!(said(&first.messages), [(Role::System, "be terse".to_owned()), (Role::User, "hi".to_owned())]);
    assert_eq!((first.model.as_deref(), second.model.as_deref()), (Some("fast"), Some("slow")));
    let [Tool::Function { function }] = first.tools.try_into().unwrap();
    assert_eq!(function.name, "files__read_one");
}

#[tokio::test]
async fn a_thread_can_be_gone_on_with_as_soon_as_its_session_has_ended() {
    let room = Room { system: Some("be terse".to_owned()), ..Room::new("r1") };
    let api = Arc::new(FakeApi::with_rooms(vec![room]));
    let runs = calling(["echo"]);
    let runtime = runtime_with(Arc::clone(&api), runs.clone(), having([echo("echo")]));
    let first = runtime.spawn("r1", "one").await.unwrap();
    assert_eq!(first.result().await.text(), Some("done"));
    let thread_id = first.thread_key().thread_id.clone();
    let second = runtime.spawn_with(Spawn::prompt("r1", "two").in_thread(&thread_id)).await.unwrap();
    assert_eq!(second.thread_key(), first.thread_key());
    second.result().await;
    let roles = |messages: &[Message]| messages.iter().map(|message| message.role).collect::<Vec<_>>();
    let whole = [Role::User, Role::Assistant, Role::Tool, Role::Assistant, Role::User, Role::Assistant];
    assert_eq!(roles(&api.kept("r1", &thread_id)), whole, "without the instructions, and each once");
    assert_eq!(roles(&runs.requests()[2].messages)[1..], whole[..5]);
}

#[tokio::test]
async fn of_a_session_that_fails_nothing_is_kept() {
    let api = Arc::new(FakeApi::default());
    let runs = model([ScriptedTurn::Events(vec![TokenEvent::Token("well".to_owned())])]);
    let runtime = runtime_with(Arc::clone(&api), runs, having([]));
    let session = runtime.spawn("r1", "one").await.unwrap();
    assert_eq!(session.result().await, failed(AgentFailure::CutShort));
    assert_eq!(api.kept("r1", &session.thread_key().thread_id), []);
}

#[tokio::test]
async fn a_call_is_forced_in_the_first_turn_only() {
    let runs = calling(["echo"]);
    let runtime = runtime(runs.clone(), having([echo("echo")]), Limits::default());
    let mut spawn = Spawn::prompt("r1", "hi");
    spawn.request.tool_choice = Some(ToolChoice::Mode(ToolMode::Required));
    spawn.request.temperature = Some(0.5);
    runtime.spawn_with(spawn).await.unwrap().result().await;
    let [first, second] = runs.requests().try_into().unwrap();
    assert_eq!(first.tool_choice, Some(ToolChoice::Mode(ToolMode::Required)));
    assert_eq!(second.tool_choice, None);
    assert_eq!((first.temperature, second.temperature), (Some(0.5), Some(0.5)));
}

#[tokio::test]
async fn a_session_can_have_its_turns_taken_by_somebody_else() {
    let (own, other) = (model([ScriptedTurn::say("own")]), model([ScriptedTurn::say("other")]));
    let runtime = runtime(own.clone(), having([]), Limits::default());
    let spawn = Spawn { runs: Some(other), ..Spawn::prompt("r1", "hi") };
    assert_eq!(runtime.spawn_with(spawn).await.unwrap().result().await.text(), Some("other"));
    assert_eq!(own.begun(), 0);
}

#[tokio::test]
async fn a_session_without_its_room_or_its_tools_does_not_begin() {
    let runs = model([ScriptedTurn::say("ok")]);
    let runtime = runtime(runs.clone(), having([]), Limits::default());
    let error = ApiError::UnknownRoom("nope".to_owned());
    let server_id = runtime.server_id().clone();
    let refused = runtime.spawn("nope", "hi").await.map(drop);
    assert_eq!(refused, Err(RuntimeError::Api { server_id, error }));
    let colliding = super::runtime(runs, having([echo("a_::b"), echo("a::_b")]), Limits::default());
    let refused = colliding.spawn("r1", "hi").await.map(drop);
    assert!(
        matches!(refused, Err(RuntimeError::Tools { error: ToolError::Collision { .. }, .. })),
        "{refused:?}"
    );
}

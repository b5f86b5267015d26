use futures_util::FutureExt;
use inferd_engine::servers::{AgentEvent, AgentSession, RuntimeError};
use tokio::sync::watch;

use super::*;

/// Where a session can be when it is ended.
#[derive(Debug, Clone, Copy)]
enum At {
    BeforeATurnHasBegun,
    InATurn,
    InATool,
    BehindItsReader,
}

const EVERYWHERE: [At; 4] = [At::BeforeATurnHasBegun, At::InATurn, At::InATool, At::BehindItsReader];

/// A session that is there, on a server `prod` of `runtime`, and what it holds.
struct There {
    runtime: MultiServerRuntime,
    session: AgentSession,
    runs: Arc<ScriptedRuns>,
    in_tool: watch::Sender<usize>,
}

/// Counts a call while it is held.
struct InTool(watch::Sender<usize>);

impl Drop for InTool {
    fn drop(&mut self) {
        self.0.send_modify(|calls| *calls -= 1);
    }
}

impl There {
    async fn new(at: At) -> Self {
        let runs = match at {
            At::BeforeATurnHasBegun => model([ScriptedTurn::NeverBegin]),
            At::InATurn => model([ScriptedTurn::Hang(vec!["well".to_owned()])]),
            At::InATool => calling(["holding", "holding"]),
            At::BehindItsReader => model([ScriptedTurn::Endless("la".to_owned())]),
        };
        let in_tool = watch::Sender::new(0);
        let counted = in_tool.clone();
        let holding = tool("holding", move |_call: ToolInvocation| {
            counted.send_modify(|calls| *calls += 1);
            let held = InTool(counted.clone());
            async move {
                let _held = held;
                std::future::pending().await
            }
        });
        let registry = ServerRegistry::new();
        registry.add(connection("prod", runs.clone())).expect("the ids differ");
        let limits = Limits { turn_bytes_max: usize::MAX, ..Limits::default() };
        let runtime = MultiServerRuntime::new(registry, having([holding]), limits);
        let session = runtime.spawn("prod", "r1", "hi").await.expect("there is room");
        let there = Self { runtime, session, runs, in_tool };
        there.arrive(at).await;
        there
    }

    async fn arrive(&self, at: At) {
        match at {
            At::BeforeATurnHasBegun => self.runs.until_live(1).await,
            At::InATurn | At::BehindItsReader => {
                let mut events = self.session.events().expect("nobody has read them");
                while !matches!(events.next().await, Some(AgentEvent::Token(_))) {}
                // Kept, so that the session stays behind it.
                std::mem::forget(events);
            }
            At::InATool => {
                self.in_tool.subscribe().wait_for(|calls| *calls == 2).await.expect("it is held here");
            }
        }
    }

    /// Nothing of the session is left.
    fn check_gone(&self, at: At) {
        assert_eq!(self.runs.live(), 0, "{at:?}");
        assert_eq!(*self.in_tool.borrow(), 0, "{at:?}");
        assert!(self.runtime.active_sessions().is_empty(), "{at:?}");
    }
}

#[tokio::test]
async fn cancelling_ends_a_session_wherever_it_is() {
    for at in EVERYWHERE {
        let there = There::new(at).await;
        there.session.cancel();
        assert_eq!(there.session.result().await, AgentResult::Cancelled, "{at:?}");
        there.check_gone(at);
    }
}

#[tokio::test]
async fn removing_the_server_ends_a_session_wherever_it_is() {
    for at in EVERYWHERE {
        let there = There::new(at).await;
        there.runtime.registry().remove("prod").unwrap();
        assert_eq!(there.session.result().await, AgentResult::Cancelled, "{at:?}");
        there.check_gone(at);
    }
}

#[tokio::test]
async fn disposing_ends_a_session_wherever_it_is() {
    for at in EVERYWHERE {
        let there = There::new(at).await;
        there.runtime.dispose().await;
        assert_eq!(there.session.ended(), Some(AgentResult::Cancelled), "{at:?}");
        there.check_gone(at);
    }
}

#[tokio::test]
async fn dropping_the_last_handle_ends_a_session_wherever_it_is() {
    for at in [At::BeforeATurnHasBegun, At::InATurn, At::InATool] {
        let runs = match at {
            At::InATool => calling(["silent"]),
            At::InATurn => model([ScriptedTurn::silence()]),
            _ => model([ScriptedTurn::NeverBegin]),
        };
        let runtime = runtime(runs.clone(), having([silent("silent")]), Limits::default());
        let session = runtime.spawn("r1", "hi").await.unwrap();
        let events = session.events().unwrap();
        runs.until_begun(1).await;
        drop(session);
        tokio::task::yield_now().await;
        assert_eq!(runtime.active_sessions().len(), 1, "who reads its events holds it, {at:?}");
        drop(events);
        runs.until_live(0).await;
        runtime.dispose().await;
        assert!(runtime.active_sessions().is_empty(), "{at:?}");
    }
}

#[tokio::test]
async fn cancelling_a_session_that_has_ended_changes_nothing() {
    let runtime = runtime(model([ScriptedTurn::say("ok")]), having([]), Limits::default());
    let session = runtime.spawn("r1", "hi").await.unwrap();
    let result = session.result().await;
    session.cancel();
    assert!(result.is_success());
    assert_eq!(session.result().await, result);
    assert_eq!(session.events().unwrap().session().ended(), Some(result));
}

#[tokio::test]
async fn a_spawn_that_is_dropped_leaves_nothing() {
    let api = Arc::new(FakeApi::default().shut());
    let runs = model([ScriptedTurn::say("ok")]);
    let connection = ServerConnection::new("prod", api.clone(), runs.clone()).unwrap();
    let limits = Limits { sessions_max: 1, ..Limits::default() };
    let runtime = AgentRuntime::from_connection(connection, having([]), limits);
    let mut spawning = Box::pin(runtime.spawn("r1", "hi"));
    assert!(spawning.as_mut().now_or_never().is_none());
    assert!(matches!(runtime.spawn("r1", "hi").await, Err(RuntimeError::Limit { .. })));
    drop(spawning);
    assert!(runtime.active_sessions().is_empty());
    api.open(1);
    assert_eq!(run(&runtime).await.text(), Some("ok"));
    assert_eq!(runs.begun(), 1);
}

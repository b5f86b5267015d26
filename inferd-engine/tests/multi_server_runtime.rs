//! Sessions on many servers, through one runtime.

use std::sync::Arc;
use std::time::Duration;

use inferd_engine::servers::{
    AgentResult, AgentSession, Limits, MultiServerRuntime, RuntimeError, ServerRegistry, ThreadKey,
};
use inferd_engine::testing::servers::{ScriptedRuns, ScriptedTurn, connection};
use inferd_engine::tools::{ToolError, ToolRegistry};

/// Two servers, `prod` and `staging`, and a runtime of both.
struct Fixture {
    prod: Arc<ScriptedRuns>,
    staging: Arc<ScriptedRuns>,
    runtime: Arc<MultiServerRuntime>,
}

impl Fixture {
    /// Each takes this turn, always.
    fn new(prod: ScriptedTurn, staging: ScriptedTurn) -> Self {
        let [prod, staging] = [prod, staging].map(|turn| Arc::new(ScriptedRuns::new([turn])));
        let registry = ServerRegistry::new();
        registry.add(connection("prod", prod.clone())).expect("the ids differ");
        registry.add(connection("staging", staging.clone())).expect("the ids differ");
        let no_tools = |_room: String| async { Ok::<_, ToolError>(ToolRegistry::new()) };
        let runtime = MultiServerRuntime::new(registry, Arc::new(no_tools), Limits::default());
        Self { prod, staging, runtime: Arc::new(runtime) }
    }

    fn answering() -> Self {
        Self::new(ScriptedTurn::say("from prod"), ScriptedTurn::say("from staging"))
    }

    fn hanging() -> Self {
        Self::new(ScriptedTurn::silence(), ScriptedTurn::silence())
    }

    async fn spawn(&self, server_id: &str) -> AgentSession {
        self.runtime.spawn(server_id, "r1", "hi").await.expect("there is room")
    }

    async fn both(&self) -> [AgentSession; 2] {
        [self.spawn("prod").await, self.spawn("staging").await]
    }
}

fn keys(sessions: &[AgentSession]) -> Vec<ThreadKey> {
    sessions.iter().map(|session| session.thread_key().clone()).collect()
}

#[tokio::test]
async fn runtime_for_creates_lazily() {
    let fixture = Fixture::answering();
    let first = fixture.runtime.runtime_for("prod").unwrap();
    assert_eq!(*first.server_id(), "prod");
    assert!(Arc::ptr_eq(&first, &fixture.runtime.runtime_for("prod").unwrap()));
    assert!(!Arc::ptr_eq(&first, &fixture.runtime.runtime_for("staging").unwrap()));
}

#[tokio::test]
async fn runtime_for_unknown_server_errors() {
    let refused = Fixture::answering().runtime.runtime_for("nope").map(drop);
    assert_eq!(refused, Err(RuntimeError::UnknownServer("nope".to_owned())));
}

#[tokio::test]
async fn runtime_for_after_dispose_errors() {
    let fixture = Fixture::answering();
    fixture.runtime.dispose().await;
    for server_id in ["prod", "nope"] {
        assert_eq!(fixture.runtime.runtime_for(server_id).map(drop), Err(RuntimeError::Disposed));
    }
}

#[tokio::test]
async fn spawn_routes_to_correct_server() {
    let fixture = Fixture::answering();
    let session = fixture.spawn("staging").await;
    assert_eq!(session.thread_key().server_id, "staging");
    assert_eq!(session.result().await.text(), Some("from staging"));
    assert_eq!((fixture.prod.begun(), fixture.staging.begun()), (0, 1));
}

#[tokio::test]
async fn spawn_on_two_servers() {
    let [one, other] = Fixture::answering().both().await;
    assert_eq!(one.thread_key().server_id, "prod");
    assert_eq!(other.thread_key().server_id, "staging");
    assert_eq!(one.result().await.text(), Some("from prod"));
    assert_eq!(other.result().await.text(), Some("from staging"));
}

#[tokio::test]
async fn get_session_routes_by_server_id() {
    let fixture = Fixture::hanging();
    for session in fixture.both().await {
        let found = fixture.runtime.session(session.thread_key()).unwrap();
        assert_eq!(found.thread_key(), session.thread_key());
        found.cancel();
        assert_eq!(session.result().await, AgentResult::Cancelled, "it is the same session");
    }
}

#[tokio::test]
async fn get_session_none_for_wrong_server() {
    let fixture = Fixture::hanging();
    let session = fixture.spawn("prod").await;
    fixture.runtime.runtime_for("staging").unwrap();
    let wrong = ThreadKey { server_id: "staging".parse().unwrap(), ..session.thread_key().clone() };
    assert!(fixture.runtime.session(&wrong).is_none());
}

#[tokio::test]
async fn active_sessions_lifecycle() {
    let fixture = Fixture::hanging();
    assert!(fixture.runtime.active_sessions().is_empty());
    let sessions = fixture.both().await;
    assert_eq!(keys(&fixture.runtime.active_sessions()), keys(&sessions));
    fixture.runtime.dispose().await;
    assert!(fixture.runtime.active_sessions().is_empty());
}

#[tokio::test]
async fn wait_all_collects_from_multiple_servers() {
    let fixture = Fixture::answering();
    let [one, other] = fixture.both().await;
    let results = fixture.runtime.wait_all(&[other, one], None).await;
    assert_eq!(
        results.iter().map(AgentResult::text).collect::<Vec<_>>(),
        [Some("from staging"), Some("from prod")]
    );
}

#[tokio::test]
async fn wait_any_returns_first_regardless_of_server() {
    for (server_id, prod, staging) in [
        ("prod", ScriptedTurn::say("first"), ScriptedTurn::silence()),
        ("staging", ScriptedTurn::silence(), ScriptedTurn::say("first")),
    ] {
        let fixture = Fixture::new(prod, staging);
        let sessions = fixture.both().await;
        let (key, result) = fixture.runtime.wait_any(&sessions, None).await.unwrap();
        assert_eq!(key.server_id, server_id);
        assert_eq!(result.text(), Some("first"));
    }
}

#[tokio::test]
async fn wait_all_empty_returns_empty() {
    assert_eq!(Fixture::answering().runtime.wait_all(&[], None).await, []);
}

#[tokio::test]
async fn wait_any_empty_errors() {
    let fixture = Fixture::answering();
    assert_eq!(fixture.runtime.wait_any(&[], None).await, Err(RuntimeError::EmptyWait));
    let long = Some(Duration::from_secs(1));
    assert_eq!(fixture.runtime.first_success_cancel_rest(&[], long).await, Err(RuntimeError::EmptyWait));
}

#[tokio::test]
async fn get_session_unknown_thread_returns_none() {
    let fixture = Fixture::hanging();
    let session = fixture.spawn("prod").await;
    let unknown = ThreadKey { thread_id: "nope".to_owned(), ..session.thread_key().clone() };
    assert!(fixture.runtime.session(&unknown).is_none());
}

#[tokio::test]
async fn cancel_all_cancels_all_servers() {
    let fixture = Fixture::hanging();
    let sessions = fixture.both().await;
    fixture.prod.until_begun(1).await;
    fixture.runtime.cancel_all().await;
    for session in sessions {
        assert_eq!(session.ended(), Some(AgentResult::Cancelled));
    }
    assert_eq!((fixture.prod.live(), fixture.staging.live()), (0, 0));
    assert!(fixture.runtime.spawn("prod", "r1", "again").await.is_ok());
}

#[tokio::test]
async fn dispose_cleans_up_all_runtimes() {
    let fixture = Fixture::hanging();
    let sessions = fixture.both().await;
    let kept = fixture.runtime.runtime_for("prod").unwrap();
    fixture.runtime.dispose().await;
    for session in sessions {
        assert_eq!(session.ended(), Some(AgentResult::Cancelled));
    }
    assert_eq!(kept.spawn("r1", "hi").await.map(drop), Err(RuntimeError::Disposed));
    assert_eq!(fixture.runtime.runtime_for("staging").map(drop), Err(RuntimeError::Disposed));
    assert_eq!(fixture.runtime.spawn("prod", "r1", "hi").await.map(drop), Err(RuntimeError::Disposed));
}

#[tokio::test]
async fn dispose_is_idempotent() {
    let fixture = Fixture::hanging();
    let session = fixture.spawn("prod").await;
    fixture.runtime.dispose().await;
    fixture.runtime.dispose().await;
    assert_eq!(session.ended(), Some(AgentResult::Cancelled));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_dispose_is_safe() {
    let fixture = Fixture::hanging();
    let sessions = fixture.both().await;
    let disposing = |runtime: Arc<MultiServerRuntime>| async move {
        runtime.dispose().await;
        runtime.active_sessions().len()
    };
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..2 {
        tasks.spawn(disposing(Arc::clone(&fixture.runtime)));
    }
    assert_eq!(tasks.join_all().await, [0, 0]);
    for session in sessions {
        assert_eq!(session.ended(), Some(AgentResult::Cancelled));
    }
}

mod federation {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use inferd_engine::testing::servers::tool;
    use inferd_engine::tools::{ServerScopedToolResolver, ToolInvocation};
    use inferd_proto::{Resolved, Tool};

    use super::*;

    /// A model that calls `name`, then answers, and a runtime in which the room has `local` and every server `weather`,
    /// which says where it ran.
    struct Federation {
        model: Arc<ScriptedRuns>,
        runtime: MultiServerRuntime,
        /// How often `weather` ran on `prod`, and on `staging`.
        ran: Arc<[AtomicUsize; 2]>,
    }

    fn answering(name: &str, answer: impl Fn() -> String + Send + Sync + 'static) -> ToolRegistry {
        let answer = Arc::new(answer);
        let executor = move |_call: ToolInvocation| {
            let answer = Arc::clone(&answer);
            async move { Ok(answer().into()) }
        };
        ToolRegistry::from_tools([tool(name, executor)]).expect("the names differ")
    }

    fn of_servers(ran: Arc<[AtomicUsize; 2]>) -> impl ServerScopedToolResolver {
        move |server: String, _room: String| {
            let ran = Arc::clone(&ran);
            async move {
                Ok(answering("weather", move || {
                    ran[usize::from(server != "prod")].fetch_add(1, Ordering::Relaxed);
                    format!("sunny on {server}")
                }))
            }
        }
    }

    impl Federation {
        fn new(is_scoped: bool, calling: &str) -> Self {
            let turns = [ScriptedTurn::call(calling, "{}"), ScriptedTurn::say("done")];
            let model = Arc::new(ScriptedRuns::new(turns));
            let registry = ServerRegistry::new();
            registry.add(connection("prod", model.clone())).expect("the ids differ");
            registry.add(connection("staging", model.clone())).expect("the ids differ");
            let local = |_room: String| async { Ok(answering("local", || "here".to_owned())) };
            let runtime = MultiServerRuntime::new(registry, Arc::new(local), Limits::default());
            let ran = Arc::new([const { AtomicUsize::new(0) }; 2]);
            let runtime = if is_scoped {
                runtime.with_server_scoped_resolver(Arc::new(of_servers(Arc::clone(&ran))))
            } else {
                runtime
            };
            Self { model, runtime, ran }
        }

        /// Runs a session to its end; what its turns were asked.
        async fn run(&self) -> Vec<Resolved> {
            let session = self.runtime.spawn("prod", "r1", "hi").await.expect("there is room");
            assert_eq!(session.result().await.text(), Some("done"));
            self.model.requests()
        }

        fn ran(&self) -> [usize; 2] {
            [0, 1].map(|server: usize| self.ran[server].load(Ordering::Relaxed))
        }
    }

    fn offered(request: &Resolved) -> Vec<&str> {
        request.tools.iter().map(|Tool::Function { function }| function.name.as_str()).collect()
    }

    fn last_said(request: &Resolved) -> String {
        request.messages.last().expect("there is one").content.text().into_owned()
    }

    #[tokio::test]
    async fn scoped_resolver_gives_federated_tools() {
        let requests = Federation::new(true, "local").run().await;
        assert_eq!(offered(&requests[0]), ["local", "prod__weather", "staging__weather"]);
        assert_eq!(last_said(&requests[1]), "here");
    }

    #[tokio::test]
    async fn without_scoped_resolver_only_room_tools() {
        let federation = Federation::new(false, "prod__weather");
        let requests = federation.run().await;
        assert_eq!(offered(&requests[0]), ["local"]);
        assert_eq!(last_said(&requests[1]), "error: there is no tool named \"prod__weather\"");
        assert_eq!(federation.ran(), [0, 0]);
    }

    #[tokio::test]
    async fn federated_execution_routes_end_to_end() {
        for spelling in ["staging__weather", "staging::weather"] {
            let federation = Federation::new(true, spelling);
            let requests = federation.run().await;
            assert_eq!(last_said(&requests[1]), "sunny on staging", "{spelling}");
            assert_eq!(federation.ran(), [0, 1]);
        }
    }
}

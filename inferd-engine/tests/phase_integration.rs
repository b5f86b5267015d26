//! The parts put together, from a registry to an answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use inferd_engine::servers::{
    AgentResult, AgentRuntime, Limits, MultiServerRuntime, ServerId, ServerRegistry,
};
use inferd_engine::testing::servers::{ScriptedRuns, ScriptedTurn, connection, tool};
use inferd_engine::tools::{FederatedToolRegistry, ToolError, ToolInvocation, ToolRegistry};

fn two_servers(turn: &ScriptedTurn) -> ServerRegistry {
    let registry = ServerRegistry::new();
    for server_id in ["prod", "staging"] {
        registry
            .add(connection(server_id, Arc::new(ScriptedRuns::new([turn.clone()]))))
            .expect("the ids differ");
    }
    registry
}

async fn no_tools(_room: String) -> Result<ToolRegistry, ToolError> {
    Ok(ToolRegistry::new())
}

#[tokio::test]
async fn registry_connection_runtime_session() {
    let registry = two_servers(&ScriptedTurn::say("hello"));
    let connection = registry.require("prod").unwrap();
    let runtime = AgentRuntime::from_connection(connection, Arc::new(no_tools), Limits::default());
    let session = runtime.spawn("r1", "hi").await.unwrap();
    assert_eq!(session.thread_key().server_id, "prod");
    let result = session.result().await;
    assert!(matches!(&result, AgentResult::Success { text, steps: 1, .. } if text == "hello"), "{result:?}");
}

#[tokio::test]
async fn two_servers_two_active_wait_all_two() {
    let registry = two_servers(&ScriptedTurn::say("hello"));
    let runtime = MultiServerRuntime::new(registry, Arc::new(no_tools), Limits::default());
    let one = runtime.spawn("prod", "r1", "hi").await.unwrap();
    let other = runtime.spawn("staging", "r1", "hi").await.unwrap();
    assert_eq!(one.thread_key().server_id, "prod");
    assert_eq!(other.thread_key().server_id, "staging");
    // Neither task has had its turn on this thread yet.
    assert_eq!(runtime.active_sessions().len(), 2);
    let results = runtime.wait_all(&[one, other], None).await;
    assert_eq!(results.iter().map(AgentResult::text).collect::<Vec<_>>(), [Some("hello"); 2]);
    assert!(runtime.active_sessions().is_empty());
}

#[tokio::test]
async fn merge_lookup_both_reverse_lookup_execution_reaches_only_the_owner() {
    let counting = |name: &str, answer: &'static str| {
        let ran = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&ran);
        let executor = move |_call: ToolInvocation| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move { Ok(answer.into()) }
        };
        (ToolRegistry::new().register(tool(name, executor)).unwrap(), ran)
    };
    let (prod, weather_ran) = counting("weather", "sunny");
    let (staging, calculator_ran) = counting("calculator", "4");
    let id = |id| ServerId::new(id).unwrap();
    let federated =
        FederatedToolRegistry::merge(BTreeMap::from([(id("prod"), prod), (id("staging"), staging)]));
    let tools = federated.to_tool_registry();
    assert!(tools.lookup("prod::weather").is_some());
    assert!(tools.lookup("staging::calculator").is_some());
    assert_eq!(federated.server_id_for("prod::weather"), Some(&id("prod")));
    assert_eq!(federated.server_id_for("staging::calculator"), Some(&id("staging")));
    let ran = || (weather_ran.load(Ordering::Relaxed), calculator_ran.load(Ordering::Relaxed));
    assert_eq!(tools.execute("prod::weather", ToolInvocation::default()).await, Ok("sunny".into()));
    assert_eq!(ran(), (1, 0));
    assert_eq!(tools.execute("staging::calculator", ToolInvocation::default()).await, Ok("4".into()));
    assert_eq!(ran(), (1, 1));
}

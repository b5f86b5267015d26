//! A runtime is of one server, and so is all that it spawns.

use std::sync::Arc;

use inferd_engine::mock::Mock;
use inferd_engine::servers::{AgentRuntime, Limits};
use inferd_engine::testing::servers::connection;
use inferd_engine::tools::{ToolError, ToolRegistry};

fn runtime_of(server_id: &str) -> AgentRuntime {
    let no_tools = |_room: String| async { Ok::<_, ToolError>(ToolRegistry::new()) };
    let connection = connection(server_id, Arc::new(Mock::new()));
    AgentRuntime::from_connection(connection, Arc::new(no_tools), Limits::default())
}

#[tokio::test]
async fn from_connection_has_correct_server_id() {
    assert_eq!(*runtime_of("prod").server_id(), "prod");
}

#[tokio::test]
async fn from_connection_spawn_sets_thread_key_server_id() {
    let session = runtime_of("prod").spawn("r1", "hi").await.unwrap();
    let key = session.thread_key();
    assert_eq!(key.server_id, "prod");
    assert_eq!(key.room_id, "r1");
    assert_eq!(session.result().await.text(), Some("mock-response"));
}

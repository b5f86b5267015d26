//! All servers are asked for their tools; those that cannot answer cost nobody else's.

use std::io;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use inferd_engine::mock::Mock;
use inferd_engine::servers::ServerRegistry;
use inferd_engine::testing::servers::{connection, tool};
use inferd_engine::tools::{
    Federated, FederatedToolRegistryResolver, SERVER_TIMEOUT, ServerScopedToolResolver, ToolError,
    ToolInvocation, ToolRegistry, ToolResolver,
};
use tokio::sync::Barrier;
use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::span;

fn asking<const N: usize>(
    server_ids: [&str; N],
    resolver: impl ServerScopedToolResolver + 'static,
) -> FederatedToolRegistryResolver {
    // Before anything can be logged: whether a line is of interest is found out once, when it is first reached.
    LazyLock::force(&LOG);
    let registry = ServerRegistry::new();
    for server_id in server_ids {
        registry.add(connection(server_id, Arc::new(Mock::new()))).expect("the ids differ");
    }
    FederatedToolRegistryResolver::new(registry, Arc::new(resolver))
}

fn one(name: &str) -> ToolRegistry {
    let nothing = |_call: ToolInvocation| async { Ok("".into()) };
    ToolRegistry::from_tools([tool(name, nothing)]).expect("the names differ")
}

/// Every server has a tool named after the room; `bad` ones do as they are named.
async fn named_after_the_room(server: String, room: String) -> Result<ToolRegistry, ToolError> {
    match server.as_str() {
        "fails" | "lost" => Err(ToolError::Unavailable(format!("there is no room {room:?}"))),
        "panics" => panic!("as it was told to"),
        "io" => Err(io::Error::from(io::ErrorKind::ConnectionReset))
            .map_err(|error| ToolError::Unavailable(error.to_string())),
        "hangs" => std::future::pending().await,
        _ => Ok(one(&room)),
    }
}

fn names(found: &Federated) -> Vec<String> {
    found.registry.to_tool_registry().names().map(str::to_owned).collect()
}

fn skipped(found: &Federated) -> Vec<&str> {
    found.skipped.iter().map(|skipped| skipped.server_id.as_str()).collect()
}

#[tokio::test]
async fn resolves_from_all_servers() {
    let found = asking(["prod", "staging"], named_after_the_room).resolve("r1").await;
    assert_eq!(names(&found), ["prod::r1", "staging::r1"]);
    assert!(found.skipped.is_empty());
}

#[tokio::test]
async fn skips_failing_server_gracefully() {
    let resolver = asking(["fails", "prod"], named_after_the_room);
    let found = resolver.resolve("r1").await;
    assert_eq!(names(&found), ["prod::r1"]);
    assert_eq!(skipped(&found), ["fails"]);
    assert_eq!(found.skipped[0].error, ToolError::Unavailable("there is no room \"r1\"".to_owned()));
    let as_resolver = ToolResolver::tools(&resolver, "r1").await.unwrap();
    assert_eq!(as_resolver.names().collect::<Vec<_>>(), ["prod::r1"]);
}

#[tokio::test]
async fn logs_warning_on_skip() {
    asking(["lost", "prod"], named_after_the_room).resolve("r1").await;
    let lines = LOG.0.lock().unwrap();
    // Other tests are heard too, but none of them has lost this server.
    let warnings: Vec<_> = lines.iter().filter(|line| line.contains("server=lost")).collect();
    assert_eq!(warnings.len(), 1, "{lines:?}");
    assert!(warnings[0].starts_with("WARN"), "{warnings:?}");
    assert!(warnings[0].contains("there is no room"), "{warnings:?}");
}

#[tokio::test]
async fn parallel_resolution() {
    // Nobody gets past it before all three are there.
    let barrier = Arc::new(Barrier::new(3));
    let resolver = asking(["a", "b", "c"], move |_server: String, _room: String| {
        let barrier = Arc::clone(&barrier);
        async move {
            barrier.wait().await;
            Ok(one("x"))
        }
    });
    let found = tokio::time::timeout(Duration::from_secs(20), resolver.resolve("r1")).await;
    assert_eq!(names(&found.expect("one was waited for before the next was asked")).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn per_server_timeout() {
    let began = Instant::now();
    let found = asking(["hangs", "prod"], named_after_the_room).resolve("r1").await;
    assert_eq!(began.elapsed(), SERVER_TIMEOUT);
    assert_eq!(names(&found), ["prod::r1"]);
    assert_eq!(found.skipped[0].error, ToolError::TimedOut(SERVER_TIMEOUT));
    let shorter = Duration::from_millis(5);
    let found = asking(["hangs"], named_after_the_room).with_server_timeout(shorter).resolve("r1").await;
    assert_eq!(found.skipped[0].error, ToolError::TimedOut(shorter));
}

#[tokio::test]
async fn survives_severe_async_crash() {
    let found = asking(["io", "panics", "prod"], named_after_the_room).resolve("r1").await;
    assert_eq!(names(&found), ["prod::r1"]);
    assert_eq!(skipped(&found), ["io", "panics"]);
    assert_eq!(found.skipped[1].error, ToolError::Panicked);
}

/// What all tests of this file log.
static LOG: LazyLock<Log> = LazyLock::new(|| {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone()).expect("it is the only one");
    log
});

/// Keeps what is logged, one line an event.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(vec![event.metadata().level().to_string()]);
        event.record(&mut line);
        self.0.lock().expect("nobody panics with it").push(line.0.join(" "));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// The level and the fields of one event.
struct Line(Vec<String>);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push(format!("{}={value:?}", field.name()));
    }
}

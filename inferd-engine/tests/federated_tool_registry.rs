//! The tools of many servers under one roof, each running where it belongs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use inferd_engine::servers::ServerId;
use inferd_engine::testing::servers::tool;
use inferd_engine::tools::{FederatedToolRegistry, ToolError, ToolInvocation, ToolRegistry};

/// Tools that answer with a text, and how often any of them was run.
struct Owner {
    tools: ToolRegistry,
    ran: Arc<AtomicUsize>,
}

impl Owner {
    fn of<const N: usize>(tools: [(&'static str, &'static str); N]) -> Self {
        let ran = Arc::new(AtomicUsize::new(0));
        let tools = tools.map(|(name, answer)| {
            let ran = Arc::clone(&ran);
            tool(name, move |_call: ToolInvocation| {
                ran.fetch_add(1, Ordering::Relaxed);
                async move { Ok(answer.into()) }
            })
        });
        Self { tools: ToolRegistry::from_tools(tools).expect("the names differ"), ran }
    }

    fn ran(&self) -> usize {
        self.ran.load(Ordering::Relaxed)
    }
}

fn merge<const N: usize>(owners: [(&str, &Owner); N]) -> FederatedToolRegistry {
    let entry = |(id, owner): (&str, &Owner)| (ServerId::new(id).expect("it is one"), owner.tools.clone());
    FederatedToolRegistry::merge(BTreeMap::from(owners.map(entry)))
}

fn names(federated: &FederatedToolRegistry) -> Vec<String> {
    federated.to_tool_registry().names().map(str::to_owned).collect()
}

#[test]
fn merge_two_servers_prefixes_all_tools() {
    let (prod, staging) = (Owner::of([("weather", "")]), Owner::of([("search", ""), ("weather", "")]));
    let federated = merge([("staging", &staging), ("prod", &prod)]);
    assert_eq!(names(&federated), ["prod::weather", "staging::search", "staging::weather"]);
}

#[test]
fn merge_single_server_still_prefixes() {
    let federated = merge([("prod", &Owner::of([("weather", "")]))]);
    assert_eq!(names(&federated), ["prod::weather"]);
    assert!(federated.to_tool_registry().lookup("weather").is_none());
}

#[test]
fn merge_empty_map_is_empty() {
    let federated = merge([]);
    assert!(federated.to_tool_registry().is_empty());
    assert_eq!(federated.to_tool_registry().len(), 0);
}

#[test]
fn to_tool_registry_len_matches_total() {
    let (a, b, none) = (Owner::of([("x", ""), ("y", "")]), Owner::of([("x", "")]), Owner::of([]));
    let federated = merge([("a", &a), ("b", &b), ("c", &none)]);
    assert_eq!(federated.to_tool_registry().len(), 3);
}

#[tokio::test]
async fn execution_routes_to_originating_server() {
    let (prod, staging) = (Owner::of([("weather", "sunny")]), Owner::of([("calculator", "4")]));
    let tools = merge([("prod", &prod), ("staging", &staging)]).to_tool_registry();
    let output = tools.execute("prod::weather", ToolInvocation::default()).await;
    assert_eq!(output, Ok("sunny".into()));
    assert_eq!((prod.ran(), staging.ran()), (1, 0));
}

#[tokio::test]
async fn same_named_tools_on_different_servers() {
    let (prod, staging) = (Owner::of([("weather", "sunny")]), Owner::of([("weather", "rain")]));
    let tools = merge([("prod", &prod), ("staging", &staging)]).to_tool_registry();
    let call = |name: &'static str| tools.execute(name, ToolInvocation::default());
    assert_eq!(call("staging::weather").await, Ok("rain".into()));
    assert_eq!((prod.ran(), staging.ran()), (0, 1));
    assert_eq!(call("prod::weather").await, Ok("sunny".into()));
    assert_eq!((prod.ran(), staging.ran()), (1, 1));
    assert_eq!(call("weather").await, Err(ToolError::Unknown("weather".to_owned())));
}

#[test]
fn server_id_for_known_tool() {
    let federated = merge([("prod", &Owner::of([("a::b", "")])), ("staging", &Owner::of([("b", "")]))]);
    assert_eq!(*federated.server_id_for("prod::a::b").unwrap(), "prod");
    assert_eq!(*federated.server_id_for("staging::b").unwrap(), "staging");
}

#[test]
fn server_id_for_unknown_tool() {
    let federated = merge([("prod", &Owner::of([("weather", "")]))]);
    for name in ["nope", "weather", "prod::nope", "prod", "prod::", "prod__weather"] {
        assert_eq!(federated.server_id_for(name), None, "{name}");
    }
}

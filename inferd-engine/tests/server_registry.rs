//! The servers there are: one an id.

use std::sync::Arc;

use inferd_engine::mock::Mock;
use inferd_engine::servers::{RuntimeError, ServerConnection, ServerRegistry};
use inferd_engine::testing::servers::connection;

fn server(server_id: &str) -> ServerConnection {
    connection(server_id, Arc::new(Mock::new()))
}

fn registry_of<const N: usize>(server_ids: [&str; N]) -> ServerRegistry {
    let registry = ServerRegistry::new();
    for server_id in server_ids {
        registry.add(server(server_id)).expect("the ids differ");
    }
    registry
}

/// Whether both lead to the same place, which equality does not say.
fn is_same(one: &ServerConnection, other: &ServerConnection) -> bool {
    Arc::ptr_eq(&one.api, &other.api) && Arc::ptr_eq(&one.runs, &other.runs)
}

#[test]
fn add_then_lookup() {
    let registry = ServerRegistry::new();
    let added = server("srv-1");
    registry.add(added.clone()).unwrap();
    assert!(is_same(&registry.get("srv-1").unwrap(), &added));
}

#[test]
fn add_duplicate_errors() {
    let registry = ServerRegistry::new();
    let first = server("srv-1");
    registry.add(first.clone()).unwrap();
    let refused = registry.add(server("srv-1"));
    assert_eq!(refused, Err(RuntimeError::DuplicateServer(first.server_id.clone())));
    assert!(is_same(&registry.get("srv-1").unwrap(), &first), "the first stays");
}

#[test]
fn remove_returns_connection() {
    let registry = ServerRegistry::new();
    let added = server("srv-1");
    registry.add(added.clone()).unwrap();
    assert!(is_same(&registry.remove("srv-1").unwrap(), &added));
    assert_eq!(registry.get("srv-1"), None);
}

#[test]
fn remove_absent_returns_none() {
    assert_eq!(registry_of(["srv-1"]).remove("nope"), None);
}

#[test]
fn get_absent_returns_none() {
    assert_eq!(registry_of(["srv-1"]).get("nope"), None);
}

#[test]
fn require_present_returns_connection() {
    assert_eq!(registry_of(["srv-1"]).require("srv-1").unwrap().server_id, "srv-1");
}

#[test]
fn require_absent_errors() {
    let required = registry_of(["srv-1"]).require("nope");
    assert_eq!(required, Err(RuntimeError::UnknownServer("nope".to_owned())));
}

#[test]
fn server_ids_reflects_mutations() {
    let registry = registry_of(["b", "a"]);
    assert_eq!(registry.server_ids(), ["a", "b"]);
    registry.remove("a");
    assert_eq!(registry.server_ids(), ["b"]);
    registry.add(server("c")).unwrap();
    assert_eq!(registry.server_ids(), ["b", "c"]);
}

#[test]
fn connections_reflects_mutations() {
    let registry = registry_of(["b", "a"]);
    assert_eq!(registry.connections(), [server("a"), server("b")]);
    registry.remove("a");
    assert_eq!(registry.connections(), [server("b")]);
}

#[test]
fn is_empty_and_len() {
    let registry = ServerRegistry::new();
    assert_eq!((registry.is_empty(), registry.len()), (true, 0));
    registry.add(server("srv-1")).unwrap();
    assert_eq!((registry.is_empty(), registry.len()), (false, 1));
    registry.remove("srv-1");
    assert_eq!((registry.is_empty(), registry.len()), (true, 0));
}

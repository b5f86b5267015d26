//! A server is known by its id, and by nothing else.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use inferd_engine::mock::Mock;
use inferd_engine::servers::{RunStream, RuntimeError, ServerApi, ServerConnection};
use inferd_engine::testing::servers::{FakeApi, connection};

fn server(server_id: &str) -> ServerConnection {
    connection(server_id, Arc::new(Mock::new()))
}

#[test]
fn construction_exposes_all_fields() {
    let api: Arc<dyn ServerApi> = Arc::new(FakeApi::default());
    let runs: Arc<dyn RunStream> = Arc::new(Mock::new());
    let server = ServerConnection::new("prod", Arc::clone(&api), Arc::clone(&runs)).unwrap();
    assert_eq!(server.server_id, "prod");
    assert!(Arc::ptr_eq(&server.api, &api));
    assert!(Arc::ptr_eq(&server.runs, &runs));
}

#[test]
fn equality_by_server_id_only() {
    let (one, other) = (server("prod"), server("prod"));
    assert!(!Arc::ptr_eq(&one.api, &other.api));
    assert_eq!(one, other);
}

#[test]
fn inequality_on_different_server_id() {
    let one = server("prod");
    let other = ServerConnection::new("staging", Arc::clone(&one.api), Arc::clone(&one.runs)).unwrap();
    assert_ne!(one, other);
}

#[test]
fn hash_consistent_with_equality() {
    let hashes = RandomState::new();
    assert_eq!(hashes.hash_one(server("prod")), hashes.hash_one(server("prod")));
    let servers = HashSet::from([server("prod"), server("staging"), server("prod")]);
    assert_eq!(servers.len(), 2);
}

#[test]
fn display_contains_server_id() {
    assert!(server("gpu-box").to_string().contains("gpu-box"));
}

#[test]
fn a_server_whose_tools_could_not_be_named_cannot_be_made() {
    for id in ["", "a::b", "a__b", "Prod", "-a"] {
        let made = ServerConnection::new(id, Arc::new(FakeApi::default()), Arc::new(Mock::new()));
        assert_eq!(made, Err(RuntimeError::InvalidServerId(id.to_owned())));
    }
}

use std::error::Error;

use inferd_engine::{GenerateError, TokenEvent};
use inferd_proto::{Message, Resolved, Role};

use super::*;
use crate::config::Config;

use futures_util::StreamExt;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// The first backend of a configuration.
fn built(text: &str) -> Result<Arc<dyn Backend>, BackendError> {
    let config = Config::parse(text).unwrap();
    build(&config.backends[0], &Secrets::load(&config).unwrap())
}

fn question() -> Resolved {
    let messages = vec![Message { role: Role::User, content: "hello".into() }];
    Resolved { messages: messages.into(), stream: true, ..Resolved::default() }
}

#[tokio::test]
async fn a_mock_follows_its_script() {
    let mock = built(
        "[[backends]]\nname = \"script\"\nkind = \"mock\"\ntokens = [\"a\", \"b\", \"c\"]\nmid_stream_drop_after = 2",
    );
    let mock = mock.unwrap();
    assert_eq!(mock.name(), "script");
    let events: Vec<_> = mock.generate(question()).await.unwrap().collect().await;
    assert_eq!(events, [TokenEvent::Token("a".into()), TokenEvent::Token("b".into())]);
}

/// The request that a backend of `kind` with `keys` sends first.
async fn first_request(kind: &str, keys: &str) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let backend = built(&format!(
        "[[backends]]\nname = \"far\"\nkind = \"{kind}\"\nbase_url = \"http://{address}\"\n{keys}"
    ));
    let backend = backend.unwrap();
    let serve = async {
        let (mut io, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 8192];
        let read = io.read(&mut request).await.unwrap();
        io.write_all(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&request[..read]).into_owned()
    };
    let (request, answer) = tokio::join!(serve, backend.generate(question()));
    assert!(matches!(answer.err(), Some(GenerateError::Busy { .. } | GenerateError::Unavailable(_))));
    request
}

#[tokio::test]
async fn a_server_is_asked_for_the_first_model_with_the_key_from_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    std::fs::write(&key, "omega\n").unwrap();
    let keys = format!("models = [\"*\", \"m\"]\napi_key_file = '{}'", key.display());
    let request = first_request("ollama", &keys).await;
    assert!(request.starts_with("POST /api/chat "), "{request}");
    assert!(request.to_lowercase().contains("authorization: bearer omega\r\n"), "{request}");
}

#[tokio::test]
async fn how_long_a_model_stays_in_memory_is_told_in_either_spelling() {
    for (keep_alive, sent) in [("-1", "-1s"), ("90", "90s"), ("\"1h30m\"", "1h30m")] {
        let request = first_request("ollama", &format!("models = [\"m\"]\nkeep_alive = {keep_alive}")).await;
        assert!(request.contains(&format!(r#""keep_alive":"{sent}""#)), "{request}");
    }
}

#[tokio::test]
async fn every_kind_of_server_is_asked_in_its_own_way() {
    for (kind, target) in
        [("openai", "/v1/chat/completions"), ("anthropic", "/v1/messages"), ("ollama", "/api/chat")]
    {
        let request = first_request(kind, "models = [\"m\"]").await;
        assert!(request.starts_with(&format!("POST {target} ")), "{kind}: {request}");
    }
}

#[tokio::test]
async fn a_server_that_serves_any_model_is_asked_which_there_are() {
    let request = first_request("ollama", "models = [\"*\"]").await;
    assert!(request.starts_with("GET /api/tags "), "{request}");
}

#[tokio::test]
async fn another_daemon_is_asked_in_its_own_protocol_with_the_key_from_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    std::fs::write(&key, "omega\n").unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let backend = built(&format!(
        "[[backends]]\nname = \"far\"\nkind = \"inferd\"\ntcp = \"{address}\"\napi_key_file = '{}'",
        key.display()
    ));
    let backend = backend.unwrap();
    let serve = async {
        let (io, _) = listener.accept().await.unwrap();
        BufReader::new(io).lines().next_line().await.unwrap()
    };
    let (line, answer) = tokio::join!(serve, backend.generate(question()));
    assert_eq!(line.as_deref(), Some(r#"{"type":"auth","key":"omega"}"#));
    assert_eq!(answer.err(), Some(GenerateError::RefusedCredentials));
}

#[test]
fn a_key_that_cannot_be_sent_is_refused_and_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    std::fs::write(&key, "ome\nga").unwrap();
    let text = format!(
        "[[backends]]\nname = \"far\"\nkind = \"openai\"\nbase_url = \"http://h\"\napi_key_file = '{}'",
        key.display()
    );
    let error = built(&text).err().unwrap();
    assert_eq!(error.to_string(), "cannot build backend `far`");
    assert!(!error.source().unwrap().to_string().contains("ome"), "{error:?}");
}

//! Vectors, and what there is to be had.

use inferd_engine::Embedded;
use inferd_proto::{EmbedRequest, EmbedUsage};

use crate::asked;

use super::*;

fn texts() -> EmbedRequest {
    EmbedRequest { id: "the caller's".into(), model: Some("m".into()), ..asked::texts() }
}

fn vectors(embeddings: &Value) -> Answer {
    says(vec![json!({
        "type": "embeddings", "embeddings": embeddings, "dimensions": 2, "model": "m-1",
        "usage": {"prompt_tokens": 5}, "backend": "over there",
    })])
}

#[tokio::test]
async fn texts_become_vectors_in_their_order() {
    let upstream = daemon([vectors(&json!([[0.5, 1], [-1, 0.25]]))]).await;
    let embedded = engine(&upstream).embed(texts()).await.expect("vectors");
    let expected = Embedded {
        embeddings: vec![vec![0.5, 1.0], vec![-1.0, 0.25]],
        model: "m-1".into(),
        usage: EmbedUsage { prompt_tokens: 5 },
    };
    assert_eq!(embedded, expected);
    let line = String::from_utf8_lossy(&upstream.requests()[1].body).into_owned();
    insta::assert_snapshot!(line, @r#"{"type":"embed","id":"0","input":["one","two"],"model":"m","dimensions":2}"#);
}

#[tokio::test]
async fn vectors_that_cannot_be_right_are_none() {
    for (embeddings, says) in [
        (json!([[0.5, 1]]), "expected 2 vectors, got 1"),
        (json!([[0.5, 1], [1]]), "the vectors differ in length"),
        (json!("none"), "the answer is not understood: invalid type: string \"none\", expected a sequence"),
    ] {
        let upstream = daemon([vectors(&embeddings)]).await;
        let error = engine(&upstream).embed(texts()).await.expect_err("no vectors").to_string();
        assert!(error.starts_with(says), "{error}");
    }
    let upstream = daemon([says(vec![token("a")])]).await;
    let error = engine(&upstream).embed(texts()).await.expect_err("no vectors");
    let says = "the answer is not understood: a frame of type token came, which answers no such request";
    assert_eq!(error, GenerateError::Unavailable(says.into()));
}

#[tokio::test]
async fn a_daemon_without_embeddings_says_so_itself() {
    let mut no = error("invalid_request");
    no["message"] = json!("no backend makes embeddings");
    let upstream = daemon([says(vec![no])]).await;
    let error = engine(&upstream).embed(texts()).await.expect_err("no vectors");
    assert_eq!(error, GenerateError::InvalidRequest("no backend makes embeddings".into()));
}

#[tokio::test]
async fn the_models_are_those_of_its_hello_asked_afresh() {
    let upstream = daemon([says(vec![done("")])]).await;
    let engine = engine(&upstream);
    for _ in 0..2 {
        assert_eq!(engine.models().await.expect("a hello"), ["m", "*"]);
    }
    answered(&engine, question(true)).await;
    let said: Vec<(usize, String)> =
        upstream.requests().into_iter().map(|line| (line.connection, line.method)).collect();
    assert_eq!(said, [(0, "hello".into()), (0, "hello".into()), (0, "request".into())]);
}

#[tokio::test]
async fn a_daemon_too_old_to_say_what_it_serves_is_not_blamed_on_the_caller() {
    let no = json!({"type": "error", "id": "", "code": "invalid_request", "message": "type: what?"});
    let upstream = Upstream::daemon(Reply::frames([&no]), [says(vec![])]).await;
    let error = engine(&upstream).models().await.expect_err("no models");
    assert_eq!(error, GenerateError::Unavailable("does not say what it serves: type: what?".into()));
}

//! What an engine that speaks HTTP is asked, and what its server hears of it.

use inferd_engine::testing::contract::question;
use inferd_engine::testing::upstream::{Recorded, Reply, Upstream};
use inferd_engine::{GenerateError, RemoteConfig, TokenEvent};
use inferd_proto::{EmbedRequest, Request, Resolved};
use serde_json::{Value, json};

use crate::lane::keyed;
use crate::protocols::Engine;
use crate::told::{answered, outcome, refusal};

/// A question with these fields.
pub(crate) fn with(fields: &Value) -> Resolved {
    let mut request = json!({"messages": [{"role": "user", "content": "why?"}]});
    for (name, value) in fields.as_object().expect("fields") {
        request[name] = value.clone();
    }
    let request: Request = serde_json::from_value(request).expect("a request");
    request.resolve().expect("a valid request")
}

/// All events of an answer to `reply`, or what came in their place.
pub(crate) async fn play(engine: &dyn Engine, reply: Reply) -> Result<Vec<TokenEvent>, GenerateError> {
    let upstream = Upstream::start([reply]).await;
    outcome(&*engine.built(keyed(&upstream)), question(true)).await
}

/// All events of an answer to `reply`.
pub(crate) async fn events(engine: &dyn Engine, reply: Reply) -> Vec<TokenEvent> {
    play(engine, reply).await.expect("an answer begins")
}

/// The error in the place of an answer, told before any event.
pub(crate) async fn refused(engine: &dyn Engine, reply: Reply) -> GenerateError {
    play(engine, reply).await.expect_err("no answer begins")
}

/// Two texts, to become vectors of two numbers.
pub(crate) fn texts() -> EmbedRequest {
    let input = vec!["one".into(), "two".into()];
    EmbedRequest { input, dimensions: Some(2), ..EmbedRequest::default() }
}

/// What the server of `engine` hears of `request`.
pub(crate) async fn sent(engine: &dyn Engine, request: Resolved) -> Recorded {
    let whole = engine.stream().text(&engine.begins()).text(&engine.ends());
    let upstream = Upstream::start([whole]).await;
    answered(&*engine.built(keyed(&upstream)), request).await;
    upstream.requests().remove(0)
}

/// The body that `request` becomes, for people to read.
pub(crate) async fn body(engine: &dyn Engine, request: Resolved) -> String {
    serde_json::to_string_pretty(&sent(engine, request).await.json()).expect("JSON is JSON")
}

/// Why `request` is invalid, of which the server hears nothing, not even to tell what it serves.
pub(crate) async fn unsent(engine: &dyn Engine, request: Resolved) -> String {
    let upstream = Upstream::start([Reply::status(200)]).await;
    let error = refusal(&*engine.built(RemoteConfig::new("lane", upstream.url())), request).await;
    assert_eq!(upstream.counts().accepted, 0, "{error}");
    match error {
        GenerateError::InvalidRequest(why) => why,
        other => panic!("expected an invalid request, got {other:?}"),
    }
}

/// Puts a short, a long and an unlimited question that nobody wants streamed to a server that answers each with `whole`,
/// and sees that all but the short one are asked for as a stream. Returns what was sent, and what came of it.
pub(crate) async fn only_long_answers_are_streamed(
    engine: &dyn Engine,
    whole: &Value,
) -> Vec<(Value, Vec<TokenEvent>)> {
    let mut asked = Vec::new();
    for (max_tokens, streamed) in [(Some(256), false), (Some(257), true), (None, true)] {
        let upstream = Upstream::start([Reply::json(200, whole)]).await;
        let question = Resolved { max_tokens, ..question(false) };
        let events = answered(&*engine.built(keyed(&upstream)), question).await;
        let sent = upstream.requests()[0].json();
        assert_eq!(sent["stream"], streamed, "{max_tokens:?}");
        asked.push((sent, events));
    }
    asked
}

/// Sees that the server's `vectors`, those of model `e-1` for 9 tokens, are taken for [`texts`] in their order. Returns
/// what was sent.
pub(crate) async fn vectors_keep_their_order(engine: &dyn Engine, vectors: &Value) -> Recorded {
    let upstream = Upstream::start([Reply::json(200, vectors)]).await;
    let embedded = engine.built(keyed(&upstream)).embed(texts()).await.expect("vectors");
    assert_eq!(embedded.embeddings, [[1.0, -2.0], [3.0, 4.5]]);
    assert_eq!((embedded.model.as_str(), embedded.usage.prompt_tokens), ("e-1", 9));
    upstream.requests().remove(0)
}

/// Sees that none of these answers is taken for the vectors of [`texts`].
pub(crate) async fn those_are_no_vectors(engine: &dyn Engine, answers: impl IntoIterator<Item = Value>) {
    for answer in answers {
        let upstream = Upstream::start([Reply::json(200, &answer)]).await;
        let any_length = EmbedRequest { dimensions: None, ..texts() };
        let error = engine.built(keyed(&upstream)).embed(any_length).await.expect_err("no vectors");
        assert!(matches!(error, GenerateError::Unavailable(_)), "{answer}: {error:?}");
    }
}

//! Texts in, vectors out, beside whatever else is open.

use super::*;

fn texts(id: &str) -> EmbedRequest {
    EmbedRequest { id: id.into(), input: vec!["one".into(), "two".into()], ..EmbedRequest::default() }
}

fn vectors(id: &str) -> Value {
    json!({
        "type": "embeddings", "id": id, "embeddings": [[0.5, 1], [-1, 0.25]], "dimensions": 2, "model": "m",
        "usage": {"prompt_tokens": 2}, "backend": "b",
    })
}

#[tokio::test]
async fn vectors_find_who_asked_for_them_among_answers() {
    let (client, mut daemons) = client(1);
    let daemon = &mut daemons[0];
    let answer = client.generate(request("a")).await.unwrap();
    let speak = async {
        assert_eq!(daemon.hears().await["id"], "a");
        assert_eq!(daemon.hears().await, json!({"type": "embed", "id": "e", "input": ["one", "two"]}));
        daemon.token("a", "x").await;
        daemon.says(json!({"type": "status", "id": "e", "status": "queued", "position": 1})).await;
        daemon.says(vectors("e")).await;
        daemon.done("a", "x", "end").await;
    };
    let (embedded, ()) = tokio::join!(client.embed(texts("e")), speak);
    assert_eq!(embedded.unwrap().embeddings, [[0.5, 1.0], [-1.0, 0.25]]);
    assert_eq!(read(answer).await.0, "x");
}

#[tokio::test]
async fn texts_that_are_refused_are_refused_with_all_that_was_said() {
    let (client, mut daemons) = client(1);
    let speak = async {
        daemons[0].hears().await;
        daemons[0]
            .says(json!({
                "type": "error", "id": "e", "code": "queue_full", "message": "full", "retry_after_ms": 7,
                "queue": {"running": 1, "waiting": 2, "capacity": 2},
            }))
            .await;
    };
    let (embedded, ()) = tokio::join!(client.embed(texts("e")), speak);
    let Err(ClientError::Refused(refusal)) = embedded else { panic!("{embedded:?}") };
    assert_eq!((refusal.code, refusal.retry_after_ms), (ErrorCode::QueueFull, Some(7)));
    assert_eq!(refusal.queue.map(|queue| queue.waiting), Some(2));
}

#[tokio::test]
async fn who_no_longer_waits_for_vectors_has_their_request_ended() {
    let (client, mut daemons) = client(1);
    {
        let mut asking = std::pin::pin!(client.embed(texts("e")));
        tokio::select! {
            embedded = &mut asking => panic!("{embedded:?}"),
            request = daemons[0].hears() => assert_eq!(request["id"], "e"),
        }
    }
    assert_eq!(daemons[0].hears().await, json!({"type": "cancel", "id": "e"}));
    assert!(
        matches!(client.embed(texts("e")).await, Err(ClientError::IdInUse(_))),
        "the daemon still knows it"
    );
}

#[tokio::test]
async fn vectors_lost_with_their_connection_are_not_waited_for() {
    let (client, mut daemons) = client(1);
    let mut daemon = daemons.remove(0);
    let leave = async {
        daemon.hears().await;
        drop(daemon);
    };
    let (embedded, ()) = tokio::join!(client.embed(texts("e")), leave);
    assert!(matches!(embedded, Err(ClientError::Broken(Broken::Unheard))), "{embedded:?}");
}

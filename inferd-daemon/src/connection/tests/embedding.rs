//! Vectors: one request, one frame.

use super::*;
use crate::scripted::Vectors;

fn making(dimensions: usize, limits: ConnectionLimits) -> Rig {
    routing(Vectors { dimensions, hangs: false }, limits)
}

fn routing(vectors: Vectors, limits: ConnectionLimits) -> Rig {
    Rig::routing(Router::new(vec![Arc::new(vectors)]), Admission::new(1, 1), limits)
}

fn embed(id: &str, fields: &str) -> String {
    format!(r#"{{"type":"embed","id":"{id}"{fields}}}"#)
}

#[tokio::test(start_paused = true)]
async fn texts_are_answered_with_a_vector_each() {
    let rig = making(2, ConnectionLimits::default());
    let mut talk = rig.local();
    talk.send(&embed("e", r#","input":["one","two"],"model":"mine""#)).await;
    insta::assert_snapshot!(talk.line().await.unwrap(), @r#"{"type":"embeddings","id":"e","embeddings":[[0.1,0.1],[0.1,0.1]],"dimensions":2,"model":"mine","usage":{"prompt_tokens":3},"backend":"vectors"}"#);
    rig.is_empty().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_embedding_request_is_refused_by_its_field() {
    let rig = making(2, ConnectionLimits::default());
    let mut answers = Vec::new();
    for fields in [
        "",
        r#","input":"text""#,
        r#","input":[]"#,
        r#","input":["a",""]"#,
        r#","input":["a"],"dimensions":0"#,
    ] {
        answers.push(rig.local().ask(&embed("e", fields)).await);
    }
    answers
        .push(Rig::of(&Scripted::saying("lane", &["1"])).local().ask(&embed("e", r#","input":["a"]"#)).await);
    insta::assert_snapshot!(answers.join("\n"), @r#"
    {"type":"error","id":"e","code":"invalid_request","message":"missing field `input` at line 1 column 25"}
    {"type":"error","id":"e","code":"invalid_request","message":"input: invalid type: string \"text\", expected a sequence at line 1 column 39"}
    {"type":"error","id":"e","code":"invalid_request","message":"input: expected 1 to 2048 texts, got 0"}
    {"type":"error","id":"e","code":"invalid_request","message":"input[1]: expected text, got an empty one"}
    {"type":"error","id":"e","code":"invalid_request","message":"dimensions: expected at least 1"}
    {"type":"error","id":"e","code":"invalid_request","message":"no backend here makes embeddings"}
    "#);
}

#[tokio::test(start_paused = true)]
async fn vectors_that_no_frame_can_hold_are_an_error() {
    let limits = ConnectionLimits { frame_bytes_max: 200, ..ConnectionLimits::default() };
    let rig = making(100, limits);
    let answer = rig.local().ask(&embed("e", r#","input":["one"]"#)).await;
    insta::assert_snapshot!(answer, @r#"{"type":"error","id":"e","code":"invalid_request","message":"input: the vectors exceed a frame of 200 bytes, ask in parts"}"#);
}

#[tokio::test(start_paused = true)]
async fn an_embedding_waits_its_turn_can_be_cancelled_and_keeps_its_id_to_itself() {
    let rig = routing(Vectors { dimensions: 1, hangs: true }, ConnectionLimits::default());
    let mut talk = rig.local();
    let fields = r#","input":["a"]"#;
    for id in ["runs", "waits"] {
        talk.send(&embed(id, fields)).await;
    }
    settled().await;
    assert_eq!(rig.counts(), (1, 1));
    assert!(is_error(&talk_one(&mut talk, &embed("third", fields)).await, "third", ErrorCode::QueueFull));
    assert!(is_error(&talk_one(&mut talk, &ask("runs")).await, "runs", ErrorCode::InvalidRequest));
    for id in ["waits", "runs"] {
        let done = talk.ask(&cancel(id)).await;
        assert!(
            done.contains(&format!(r#""id":"{id}""#)) && done.contains(r#""stop_reason":"cancelled""#),
            "{done}"
        );
    }
    rig.is_empty().await;
}

async fn talk_one(talk: &mut Talk, line: &str) -> Response {
    talk.send(line).await;
    talk.frame().await
}

#[tokio::test(start_paused = true)]
async fn vectors_leave_a_row_like_an_answer() {
    use crate::audit::{Query, read};
    use crate::state::{Settings, State};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let state = State::open(Settings::new(&path, 30)).unwrap();
    let rig = making(3, ConnectionLimits::default()).audited(Audit::new(state.clone()));
    let mut talk = rig.local();
    talk.send(r#"{"type":"embed","id":"e","input":["one","two"]}"#).await;
    talk.line().await.unwrap();
    state.close().await;
    let row = read(&path, &Query { since: None, count: 1 }).unwrap().remove(0);
    assert_eq!((&*row.kind, &*row.outcome, row.lane.as_deref()), ("embed", "served", Some("vectors")));
    assert_eq!((row.model.as_deref(), row.prompt_tokens), (Some("m"), 3));
    assert_eq!((row.request_bytes, row.answer_bytes), (8, 32));
}

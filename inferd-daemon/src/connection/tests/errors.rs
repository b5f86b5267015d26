//! Every way a request can end without an answer, as it stands on the wire.

use inferd_engine::GenerateError;

use super::*;

fn every_error() -> [GenerateError; 9] {
    [
        GenerateError::NotReady,
        GenerateError::InvalidRequest("grammar: not supported".to_owned()),
        GenerateError::ModelNotFound("m".to_owned()),
        GenerateError::Declined("no tools".to_owned()),
        GenerateError::RefusedCredentials,
        GenerateError::Busy { reason: "slow down".to_owned(), retry_after: None },
        GenerateError::Busy { reason: "slow down".to_owned(), retry_after: Some(Duration::from_secs(7)) },
        GenerateError::Unavailable("connection refused".to_owned()),
        GenerateError::Internal("a bug".to_owned()),
    ]
}

#[tokio::test(start_paused = true)]
async fn each_error_of_a_lane_has_its_code() {
    let mut lines = Vec::new();
    for error in every_error() {
        let rig = Rig::of(&Scripted::refusing("lane", error));
        lines.push(rig.local().ask(&ask("a")).await);
    }
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"type":"error","id":"a","code":"backend_unavailable","message":"backend is not ready"}
    {"type":"error","id":"a","code":"invalid_request","message":"grammar: not supported"}
    {"type":"error","id":"a","code":"backend_unavailable","message":"model m is not served"}
    {"type":"error","id":"a","code":"backend_unavailable","message":"no tools"}
    {"type":"error","id":"a","code":"backend_unavailable","message":"refused our credentials"}
    {"type":"error","id":"a","code":"backend_unavailable","message":"busy: slow down"}
    {"type":"error","id":"a","code":"backend_unavailable","message":"busy: slow down","retry_after_ms":7000}
    {"type":"error","id":"a","code":"backend_unavailable","message":"connection refused"}
    {"type":"error","id":"a","code":"internal","message":"a bug"}
    "#);
}

#[tokio::test(start_paused = true)]
async fn an_error_after_the_first_token_has_the_same_code() {
    for error in every_error() {
        let before = Rig::of(&Scripted::refusing("lane", error.clone())).local().ask(&ask("a")).await;
        let after =
            Scripted::new("lane", move |_, _| Turn::Say(vec![token("1"), TokenEvent::Failed(error.clone())]));
        let after = Rig::of(&after).local().ask(&ask("a")).await;
        assert_eq!(after.lines().count(), 2);
        assert_eq!(after.lines().last(), Some(&*before));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_just_ends_is_an_error_and_never_a_success() {
    let cut = Scripted::new("lane", |_, _| Turn::Say(vec![token("1")]));
    insta::assert_snapshot!(Rig::of(&cut).local().ask(&ask("a")).await, @r#"
    {"type":"token","id":"a","content":"1"}
    {"type":"error","id":"a","code":"backend_unavailable","message":"the answer was cut short"}
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_not_served_is_said_to_those_who_named_it() {
    let named = ask_with("a", r#","model":"m""#);
    let missing = Scripted::refusing("lane", GenerateError::ModelNotFound("m".to_owned()));
    insta::assert_snapshot!(Rig::of(&missing).local().ask(&named).await, @r#"{"type":"error","id":"a","code":"model_not_found","message":"model m is not served"}"#);

    let config = LaneConfig { models: vec!["other".to_owned()], ..LaneConfig::default() };
    let lane = (Scripted::saying("lane", &["1"]) as Arc<dyn Backend>, config);
    let rig = Rig::routing(Router::with_lanes([lane]), Admission::new(1, 1), ConnectionLimits::default());
    insta::assert_snapshot!(rig.local().ask(&named).await, @r#"{"type":"error","id":"a","code":"model_not_found","message":"model `m` is not served here"}"#);
}

#[tokio::test(start_paused = true)]
async fn with_every_lane_shut_it_is_said_when_to_come_back() {
    let busy = GenerateError::Busy { reason: "429".to_owned(), retry_after: Some(Duration::from_secs(7)) };
    let rig = Rig::of(&Scripted::refusing("lane", busy));
    let mut talk = rig.local();
    talk.ask(&ask("a")).await;
    insta::assert_snapshot!(talk.ask(&ask("b")).await, @r#"{"type":"error","id":"b","code":"backend_unavailable","message":"no backend is available","retry_after_ms":7000}"#);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_says_how_full_it_is_to_everybody() {
    let backend = Scripted::hanging("lane");
    let rig = Rig::with(&backend, Admission::new(1, 1), ConnectionLimits::default());
    let mut talk = rig.local();
    for id in ["runs", "waits"] {
        talk.send(&ask(id)).await;
    }
    insta::assert_snapshot!(talk.ask(&ask("refused")).await, @r#"{"type":"error","id":"refused","code":"queue_full","message":"queue is full","retry_after_ms":50,"queue":{"running":1,"waiting":1,"capacity":1}}"#);
    assert_eq!(rig.counts(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn whoever_has_to_give_way_is_told_that_the_queue_is_full() {
    let backend = Scripted::hanging("lane");
    let gate = Admission::with_limits(Limits { per_client_queue: 1, ..Limits::new(1, 2) });
    let rig = Rig::with(&backend, gate, ConnectionLimits::default());
    let (mut many, mut few) = (rig.local(), rig.local());
    for id in ["runs", "waits", "gives way"] {
        many.send(&ask(id)).await;
    }
    settled().await;
    few.send(&ask("newcomer")).await;
    assert!(is_error(&many.frame().await, "gives way", ErrorCode::QueueFull));
    assert_eq!(rig.counts(), (1, 2));
}

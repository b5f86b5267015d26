//! What becomes of a request when its lane fails.

use inferd_engine::mock::{Mock, MockConfig, MockError};

use super::*;

type Play = fn() -> Turn;

#[tokio::test(start_paused = true)]
async fn with_a_failing_lane_and_another_every_request_succeeds() {
    let first = Scripted::refusing("first", unavailable());
    let second = Scripted::saying("second", &["a"]);
    let router = first_and_second(&first, &second);
    for _ in 0..20 {
        assert_eq!(ask(&router).await.unwrap(), "second");
    }
    assert_eq!(stands(&router, "first").0, "shut");
    assert_eq!(first.calls(), 3, "three failures shut a lane, and nothing is sent to it then");
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_before_the_first_token_moves_on() {
    let beginnings: [(&str, Play); 5] = [
        ("refused", || Turn::Refuse(unavailable())),
        ("a fault of ours", || Turn::Refuse(GenerateError::Internal("oops".to_owned()))),
        ("too busy", || Turn::Refuse(GenerateError::Busy { reason: "429".to_owned(), retry_after: None })),
        ("an empty stream", || Turn::Say(vec![])),
        ("a stream that begins with its failure", || Turn::Say(vec![TokenEvent::Failed(unavailable())])),
    ];
    for (name, turn) in beginnings {
        let first = Scripted::new("first", move |_, _| turn());
        let second = Scripted::saying("second", &["a"]);
        let router = first_and_second(&first, &second);
        let mut moved = Vec::new();
        let ticket = router.route(Need::default(), Instant::now()).await.unwrap();
        assert_eq!(ticket.lane(), "first");
        let tokens = ticket.start(Box::new(request("r")), |lane| moved.push(lane.to_string())).await.unwrap();
        assert_eq!((tokens.lane(), moved), ("second", vec!["second".to_owned()]), "{name}");
        assert_eq!((stands(&router, "first").1, stands(&router, "second").1), (0, 1), "{name}");
        assert_eq!(first.alive(), 0, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_first_token_there_is_no_second_attempt() {
    let cut = || Turn::Say(vec![token("a")]);
    let failed = || Turn::Say(vec![token("a"), TokenEvent::Failed(unavailable())]);
    let endings: [(Play, &str); 2] = [(cut, "the answer was cut short"), (failed, "down")];
    for (turn, said) in endings {
        let first = Scripted::new("first", move |_, _| turn());
        let second = Scripted::saying("second", &["a"]);
        let router = first_and_second(&first, &second);
        for _ in 0..3 {
            let error = ask(&router).await.unwrap_err();
            assert_eq!(
                error,
                RouteError::Lane { lane: "first".into(), error: GenerateError::Unavailable(said.into()) }
            );
        }
        assert_eq!((first.calls(), second.calls()), (3, 0));
        assert_eq!(stands(&router, "first").0, "shut", "an answer cut short is the lane's failure");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_caller_did_wrong_shuts_nothing_and_moves_nowhere() {
    let first = Scripted::refusing("first", GenerateError::InvalidRequest("no such grammar".to_owned()));
    let second = Scripted::saying("second", &["a"]);
    let router = first_and_second(&first, &second);
    for _ in 0..10 {
        let error = ask(&router).await.unwrap_err();
        assert_eq!(error.to_string(), "no such grammar");
    }
    assert_eq!((first.calls(), second.calls()), (10, 0));
    assert_eq!(stands(&router, "first"), ("passing", 0));
}

#[tokio::test(start_paused = true)]
async fn a_lane_without_the_model_is_not_blamed_and_others_are_tried() {
    let missing = GenerateError::ModelNotFound("m".to_owned());
    let first = Scripted::refusing("first", missing.clone());
    let second = Scripted::saying("second", &["a"]);
    let router = first_and_second(&first, &second);
    for _ in 0..10 {
        assert_eq!(ask_for(&router, Some("m")).await.unwrap(), "second");
    }
    assert_eq!(stands(&router, "first"), ("passing", 0));

    let alone = self::router([lane(&first)]);
    let error = ask_for(&alone, Some("m")).await.unwrap_err();
    assert_eq!(error, RouteError::Lane { lane: "first".into(), error: missing });
}

#[tokio::test(start_paused = true)]
async fn the_last_lanes_error_is_the_answer() {
    let first = Scripted::refusing("first", unavailable());
    let second = Scripted::refusing("second", GenerateError::RefusedCredentials);
    let router = first_and_second(&first, &second);
    let error = ask(&router).await.unwrap_err();
    assert_eq!(error, RouteError::Lane { lane: "second".into(), error: GenerateError::RefusedCredentials });
    assert_eq!(error.to_string(), "refused our credentials");
    assert_eq!((first.calls(), second.calls()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn retries_beyond_the_budget_get_the_lanes_own_error() {
    let first = Scripted::refusing("first", unavailable());
    let second = Scripted::saying("second", &["a"]);
    let never = BreakerConfig { failures: usize::MAX, ..BreakerConfig::default() };
    let (backend, config) = with_priority(&first, -1);
    let router = router([(backend, LaneConfig { breaker: never, ..config }), lane(&second)]);
    let mut served = 0;
    for _ in 0..200 {
        match ask(&router).await {
            Ok(lane) => {
                assert_eq!(lane, "second");
                served += 1;
            }
            Err(error) => {
                assert_eq!(error, RouteError::Lane { lane: "first".into(), error: unavailable() });
            }
        }
    }
    // Ten seconds of three each, and a fifth of the requests.
    assert!((69..=70).contains(&served), "{served}");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(ask(&router).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_request_arrives_unchanged_at_every_lane_it_is_tried_on() {
    let first = Scripted::refusing("first", unavailable());
    let second = Scripted::saying("second", &["a"]);
    ask(&first_and_second(&first, &second)).await.unwrap();
    assert_eq!(first.seen(), second.seen());
    assert_eq!(second.seen(), [request("r")]);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_not_ready_is_passed_over_while_another_is() {
    let loading = Scripted::saying("loading", &["a"]);
    loading.set_ready(false);
    let second = Scripted::saying("second", &["a"]);
    let router = first_and_second(&loading, &second);
    for _ in 0..100 {
        assert_eq!(ask(&router).await.unwrap(), "second");
    }
    assert_eq!(loading.calls(), 0);
    loading.set_ready(true);
    assert_eq!(ask(&router).await.unwrap(), "loading");
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_not_ready_says_so_where_there_is_no_other_and_is_not_blamed() {
    let config = MockConfig { pre_stream_error: Some(MockError::NotReady), ..MockConfig::default() };
    let router = Arc::new(Router::new(vec![Arc::new(Mock::with_config(config))]));
    for _ in 0..10 {
        let error = ask(&router).await.unwrap_err();
        assert_eq!(error, RouteError::Lane { lane: "mock".into(), error: GenerateError::NotReady });
    }
    assert_eq!(stands(&router, "mock"), ("passing", 0));
}

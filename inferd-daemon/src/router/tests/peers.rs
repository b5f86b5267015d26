//! Lanes of peers, which come and go.

use super::*;

fn of_peers(backend: &Arc<Scripted>) -> (Arc<dyn Backend>, LaneConfig) {
    (lane(backend).0, LaneConfig { peers: true, ..LaneConfig::default() })
}

fn deserted(name: &str) -> Arc<Scripted> {
    let backend = Scripted::saying(name, &["a"]);
    backend.set_ready(false);
    backend
}

#[tokio::test(start_paused = true)]
async fn what_a_lane_said_is_not_hidden_by_one_that_nobody_is_behind() {
    let failing = Scripted::refusing("failing", GenerateError::Unavailable("down".to_owned()));
    let empty = deserted("empty");
    let router = router([lane(&failing), of_peers(&empty)]);
    let error = ask_for(&router, None).await.unwrap_err();
    let down = GenerateError::Unavailable("down".to_owned());
    assert_eq!(error, RouteError::Lane { lane: "failing".to_owned(), error: down });
    empty.set_ready(true);
    assert_eq!(ask_for(&router, None).await.as_deref(), Ok("empty"));
}

#[tokio::test(start_paused = true)]
async fn a_shut_lane_says_so_though_another_is_deserted() {
    let failing = Scripted::refusing("failing", GenerateError::Unavailable("down".to_owned()));
    let router = router([lane(&failing), of_peers(&deserted("empty"))]);
    for _ in 0..3 {
        ask_for(&router, None).await.unwrap_err();
    }
    assert!(matches!(ask_for(&router, None).await, Err(RouteError::Shut { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_daemon_is_ready_without_its_peers() {
    let router = router([lane(&Scripted::saying("own", &["a"])), of_peers(&deserted("empty"))]);
    assert!(router.all_ready());
}

#[tokio::test(start_paused = true)]
async fn a_guest_is_there_beside_what_is_configured_until_it_goes() {
    let (own, guest) = (Scripted::saying("own", &["a"]), Scripted::saying("guest", &["a"]));
    let configured = || (lane(&own).0, LaneConfig { models: vec!["a".to_owned()], ..LaneConfig::default() });
    let router = router([configured()]);
    let by_name = LaneConfig { models: vec!["theirs".to_owned()], by_name: true, ..of_peers(&guest).1 };
    router.have_guest(Some((lane(&guest).0, by_name)));
    assert_eq!(ask_for(&router, Some("theirs")).await.as_deref(), Ok("guest"));
    router.reconfigure([configured()]);
    for _ in 0..9 {
        assert_eq!(ask_for(&router, None).await.as_deref(), Ok("own"), "it was not named");
    }
    assert_eq!(ask_for(&router, Some("theirs")).await.as_deref(), Ok("guest"), "a reload has it stay");
    router.have_guest(None);
    assert_eq!(ask_for(&router, Some("theirs")).await, Err(RouteError::ModelNotFound("theirs".to_owned())));
    assert_eq!(router.state().len(), 1);
}

//! Breakers at work: who is shut, for how long, and who finds out whether it is well again.

use std::pin::Pin;

use super::*;

/// Longer than the first cooldown with its jitter.
const COOLDOWN: Duration = Duration::from_secs(37);

async fn shut(router: &Arc<Router>, name: &str) {
    while stands(router, name).0 != "shut" {
        drop(ask(router).await);
    }
}

/// A lane that refuses until it is shut, and then begins nothing.
fn refusing_then_silent(name: &'static str) -> Arc<Scripted> {
    Scripted::new(name, |call, _| match call {
        0..3 => Turn::Refuse(unavailable()),
        _ => Turn::Hang,
    })
}

/// A request that has become the probe of `lane`, which is its call number `call` there.
async fn probing<'r>(
    router: &'r Arc<Router>,
    lane: &Scripted,
    call: usize,
) -> Pin<Box<dyn Future<Output = Result<String, RouteError>> + 'r>> {
    let mut probe = Box::pin(ask(router));
    tokio::select! {
        biased;
        _ = &mut probe => panic!("the probe hangs"),
        () = lane.called(call) => {}
    }
    probe
}

#[tokio::test(start_paused = true)]
async fn after_the_cooldown_exactly_one_of_many_requests_is_the_probe() {
    let first = refusing_then_silent("first");
    let second = Scripted::saying("second", &["a"]);
    let router = first_and_second(&first, &second);
    shut(&router, "first").await;
    tokio::time::advance(COOLDOWN).await;

    let probe = probing(&router, &first, 4).await;
    assert_eq!(stands(&router, "first"), ("probing", 1));
    let others = join_all((0..20).map(|_| ask(&router))).await;
    assert!(others.into_iter().all(|lane| lane.unwrap() == "second"));
    assert_eq!(first.calls(), 4);
    // The caller of the probe leaves: nothing was learnt, the next one is the probe.
    drop(probe);
    assert_eq!((stands(&router, "first"), first.alive()), (("shut", 0), 0));
    let _next = probing(&router, &first, 5).await;
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_succeeds_opens_the_lane_to_all() {
    let first = Scripted::new("first", |call, _| match call {
        0..3 => Turn::Refuse(unavailable()),
        _ => Turn::Say(answer(&["a"])),
    });
    let second = Scripted::saying("second", &["a"]);
    let router = first_and_second(&first, &second);
    shut(&router, "first").await;
    assert_eq!(ask(&router).await.unwrap(), "second");
    tokio::time::advance(COOLDOWN).await;
    for _ in 0..10 {
        assert_eq!(ask(&router).await.unwrap(), "first");
    }
    assert_eq!(stands(&router, "first").0, "passing");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_moves_on_and_the_lane_stays_shut_for_longer() {
    let first = Scripted::refusing("first", unavailable());
    let second = Scripted::saying("second", &["a"]);
    let router = first_and_second(&first, &second);
    shut(&router, "first").await;
    tokio::time::advance(COOLDOWN).await;
    assert_eq!(ask(&router).await.unwrap(), "second");
    assert_eq!(first.calls(), 4);
    tokio::time::advance(COOLDOWN).await;
    assert_eq!(ask(&router).await.unwrap(), "second");
    assert_eq!(first.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_does_not_take_its_probe_is_probed_again() {
    for reply in [GenerateError::NotReady, GenerateError::Declined("not for this one".to_owned())] {
        let first = Scripted::new("first", move |call, _| match call {
            0..3 => Turn::Refuse(unavailable()),
            3 => Turn::Refuse(reply.clone()),
            _ => Turn::Hang,
        });
        let second = Scripted::saying("second", &["a"]);
        let router = first_and_second(&first, &second);
        shut(&router, "first").await;
        tokio::time::advance(COOLDOWN).await;
        assert_eq!(ask(&router).await.unwrap(), "second");
        assert_eq!(stands(&router, "first").0, "shut", "nothing was learnt about it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_lane_rests_for_as_long_as_it_asks() {
    let rest = Duration::from_secs(7);
    let busy = GenerateError::Busy { reason: "429".to_owned(), retry_after: Some(rest) };
    let first = Scripted::new("first", move |call, _| match call {
        0 => Turn::Refuse(busy.clone()),
        _ => Turn::Say(answer(&["a"])),
    });
    let second = Scripted::saying("second", &["a"]);
    let router = first_and_second(&first, &second);
    assert_eq!(ask(&router).await.unwrap(), "second");
    tokio::time::advance(rest.checked_sub(Duration::from_millis(1)).unwrap()).await;
    assert_eq!(ask(&router).await.unwrap(), "second");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(ask(&router).await.unwrap(), "first");
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_refuses_our_key_rests_at_once_and_others_serve() {
    let first = Scripted::refusing("first", GenerateError::RefusedCredentials);
    let second = Scripted::saying("second", &["a"]);
    let router = first_and_second(&first, &second);
    for _ in 0..10 {
        assert_eq!(ask(&router).await.unwrap(), "second");
    }
    assert_eq!((stands(&router, "first").0, first.calls()), ("shut", 1));
    let rests = router.state()[0].rests_ms.unwrap();
    assert!((30_000..=36_000).contains(&rests), "{rests}");
}

#[tokio::test(start_paused = true)]
async fn with_every_lane_shut_a_request_is_told_when_the_first_is_tried_again() {
    let resting = |name, seconds| {
        let rest = Some(Duration::from_secs(seconds));
        Scripted::refusing(name, GenerateError::Busy { reason: "429".to_owned(), retry_after: rest })
    };
    let (first, second) = (resting("first", 20), resting("second", 10));
    let router = first_and_second(&first, &second);
    ask(&router).await.unwrap_err();
    tokio::time::advance(Duration::from_secs(4)).await;
    let error = ask(&router).await.unwrap_err();
    assert_eq!(error, RouteError::Shut { retry_after: Duration::from_secs(6) });
    assert_eq!(error.to_string(), "no backend is available");
    assert_eq!((first.calls(), second.calls()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn whoever_finds_the_only_lane_probing_is_not_asked_to_come_back_at_once() {
    let only = refusing_then_silent("only");
    let router = router([lane(&only)]);
    shut(&router, "only").await;
    tokio::time::advance(COOLDOWN).await;
    let _probe = probing(&router, &only, 4).await;
    let Err(RouteError::Shut { retry_after }) = ask(&router).await else { panic!("the lane is probing") };
    assert!(retry_after >= Duration::from_secs(1), "{retry_after:?}");
}

/// A lane whose rest is over, and which then begins nothing before it is told to.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_thousand_at_once_exactly_one_is_the_probe() {
    let (begin, begins) = tokio::sync::mpsc::channel(8);
    let begins = Mutex::new(Some(begins));
    let first = Scripted::new("first", move |call, _| match call {
        0 => {
            Turn::Refuse(GenerateError::Busy { reason: "429".to_owned(), retry_after: Some(Duration::ZERO) })
        }
        _ => Turn::Follow(begins.lock().unwrap().take().expect("there is one probe")),
    });
    let second = Scripted::saying("second", &["a"]);
    let router = first_and_second(&first, &second);
    assert_eq!(ask(&router).await.unwrap(), "second");
    assert_eq!(stands(&router, "first").0, "shut");

    let tasks = tokio_util::task::TaskTracker::new();
    let (served, mut by) = tokio::sync::mpsc::channel(1000);
    for _ in 0..1000 {
        let (router, served) = (Arc::clone(&router), served.clone());
        tasks.spawn(async move { served.send(ask(&router).await.unwrap()).await.unwrap() });
    }
    for _ in 0..999 {
        assert_eq!(by.recv().await.as_deref(), Some("second"));
    }
    assert_eq!((stands(&router, "first"), first.calls()), (("probing", 1), 2));
    for event in answer(&["a"]) {
        begin.send(event).await.unwrap();
    }
    assert_eq!(by.recv().await.as_deref(), Some("first"));
    assert_eq!(stands(&router, "first"), ("passing", 0));
}

//! The lanes are replaced while requests are on them.

use futures_util::FutureExt;

use super::*;

/// Longer than the first cooldown with its jitter.
const COOLDOWN: Duration = Duration::from_secs(37);

#[tokio::test(start_paused = true)]
async fn what_runs_finishes_on_the_lane_it_holds_and_what_comes_takes_the_new_one() {
    let (say, said) = tokio::sync::mpsc::channel(4);
    let said = Mutex::new(Some(said));
    let old = Scripted::new("old", move |_, _| Turn::Follow(said.lock().unwrap().take().unwrap()));
    let new = Scripted::saying("new", &["a"]);
    let router = router([lane(&old)]);
    say.send(token("a")).await.unwrap();
    let ticket = router.route(Need::default(), Instant::now()).await.unwrap();
    let mut tokens = ticket.start(Box::new(request("r")), |_| {}).await.unwrap();

    router.reconfigure([lane(&new)]);
    assert_eq!(ask(&router).await.unwrap(), "new");
    say.send(scripted::done(1)).await.unwrap();
    assert_eq!(tokens.next().await, token("a"));
    assert_eq!(tokens.next().await, scripted::done(1));
    assert_eq!(tokens.lane(), "old");
    tokens.served();
    assert_eq!(router.state().len(), 1);
    assert_eq!(old.alive(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lane_of_the_same_backend_keeps_what_was_learnt_of_it() {
    let first = Scripted::refusing("first", unavailable());
    let second = Scripted::saying("second", &["a"]);
    let router = first_and_second(&first, &second);
    while stands(&router, "first").0 != "shut" {
        ask(&router).await.unwrap();
    }
    let held = router.route(Need::default(), Instant::now()).await.unwrap();
    let before = router.state();

    let longer = BreakerConfig { cooldown: Duration::from_secs(200), ..BreakerConfig::default() };
    let (backend, config) = with_priority(&first, 0);
    router.reconfigure([(backend, LaneConfig { breaker: longer, ..config }), with_priority(&second, 1)]);
    assert_eq!(router.state(), before, "shut for as long, and one still runs");
    drop(held);
    assert_eq!(stands(&router, "second"), ("passing", 0), "it ran on this lane too");

    tokio::time::advance(COOLDOWN).await;
    assert_eq!(ask(&router).await.unwrap(), "second");
    assert_eq!((stands(&router, "first").0, first.calls()), ("shut", 4));
    tokio::time::advance(Duration::from_secs(200)).await;
    assert_eq!(ask(&router).await.unwrap(), "second");
    assert_eq!(first.calls(), 4, "the new cooldown, doubled, holds");
}

#[tokio::test(start_paused = true)]
async fn another_backend_of_the_same_name_is_a_fresh_lane() {
    let before = Scripted::refusing("only", GenerateError::RefusedCredentials);
    let after = Scripted::saying("only", &["a"]);
    let router = router([lane(&before)]);
    ask(&router).await.unwrap_err();
    assert_eq!(stands(&router, "only").0, "shut");
    router.reconfigure([lane(&after)]);
    assert_eq!(ask(&router).await.unwrap(), "only");
    assert_eq!((before.calls(), after.calls()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_fails_after_the_change_moves_on_to_the_new_lanes() {
    let (say, said) = tokio::sync::mpsc::channel(4);
    let said = Mutex::new(Some(said));
    let first = Scripted::new("first", move |_, _| Turn::Follow(said.lock().unwrap().take().unwrap()));
    let gone = Scripted::saying("second", &["a"]);
    let new = Scripted::saying("new", &["a"]);
    let router = first_and_second(&first, &gone);
    let mut asking = Box::pin(ask(&router));
    assert!(asking.as_mut().now_or_never().is_none());
    // The lane it is on stays, so that it must not be taken for one that was not tried.
    router.reconfigure([with_priority(&first, -1), lane(&new)]);
    say.send(TokenEvent::Failed(unavailable())).await.unwrap();
    assert_eq!(asking.await.unwrap(), "new");
    assert_eq!((first.calls(), gone.calls()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_room_is_woken_by_the_change() {
    let backend = Scripted::saying("only", &["a"]);
    let router = router([with_concurrency(&backend, 1)]);
    let held = router.route(Need::default(), Instant::now()).await.unwrap();
    let mut waiting = Box::pin(router.route(Need::default(), Instant::now()));
    assert!(waiting.as_mut().now_or_never().is_none());
    router.reconfigure([with_concurrency(&backend, 2)]);
    let second = waiting.await.unwrap();
    assert_eq!(stands(&router, "only"), ("passing", 2));

    let mut waiting = Box::pin(router.route(Need::default(), Instant::now()));
    assert!(waiting.as_mut().now_or_never().is_none());
    router.reconfigure([lane(&backend)]);
    let third = waiting.await.unwrap();
    assert_eq!(stands(&router, "only"), ("passing", 3));
    drop((held, second, third));
    assert_eq!(stands(&router, "only"), ("passing", 0));
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_comes_with_the_change_counts_what_ran_before() {
    let backend = Scripted::saying("only", &["a"]);
    let router = router([lane(&backend)]);
    let before = router.route(Need::default(), Instant::now()).await.unwrap();
    router.reconfigure([with_concurrency(&backend, 1)]);
    let mut waiting = Box::pin(router.route(Need::default(), Instant::now()));
    assert!(waiting.as_mut().now_or_never().is_none());
    drop(before);
    assert!(waiting.await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_changes_under_load_cost_no_request() {
    let backends = [Scripted::saying("a", &["x"]), Scripted::saying("b", &["x"])];
    let router = router(backends.each_ref().map(lane));
    let tasks = tokio_util::task::TaskTracker::new();
    let callers = (0..4).map(|_| {
        let router = Arc::clone(&router);
        tasks.spawn(async move {
            for _ in 0..200 {
                ask(&router).await.unwrap();
                tokio::task::yield_now().await;
            }
        })
    });
    let callers = callers.collect::<Vec<_>>();
    for round in 0..100 {
        let fresh = Scripted::saying("fresh", &["x"]);
        match round % 3 {
            0 => router.reconfigure([with_concurrency(&backends[0], 1), lane(&fresh)]),
            1 => router.reconfigure([lane(&fresh)]),
            _ => router.reconfigure(backends.each_ref().map(|backend| with_concurrency(backend, 2))),
        }
        tokio::task::yield_now().await;
    }
    let all = tokio::time::timeout(Duration::from_secs(20), join_all(callers)).await;
    all.expect("nobody waits for ever").into_iter().for_each(Result::unwrap);
    assert!(router.state().iter().all(|lane| (lane.state, lane.running) == ("passing", 0)));
}

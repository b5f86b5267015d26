//! Lanes with a limit of their own: a request waits for room, and is woken.

use futures_util::FutureExt;
use tokio_util::task::TaskTracker;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_room_and_is_woken_when_there_is() {
    let backend = Scripted::saying("only", &["a"]);
    let router = router([with_concurrency(&backend, 2)]);
    let first = router.route(Need::default(), Instant::now()).await.unwrap();
    let second = router.route(Need::default(), Instant::now()).await.unwrap();
    let mut waiting = Box::pin(router.route(Need::default(), Instant::now()));
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(stands(&router, "only"), ("passing", 2));
    drop(first);
    let third = waiting.await.unwrap();
    assert_eq!(stands(&router, "only"), ("passing", 2));
    drop((second, third));
    assert_eq!(stands(&router, "only"), ("passing", 0));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_takes_the_first_room_on_any_of_its_lanes() {
    let lanes = [Scripted::hanging("a"), Scripted::hanging("b"), Scripted::hanging("c")];
    let router = router(lanes.each_ref().map(|backend| with_concurrency(backend, 1)));
    let mut held: Vec<Ticket> = Vec::new();
    for _ in 0..3 {
        held.push(router.route(Need::default(), Instant::now()).await.unwrap());
    }
    while let Some(leaves) = held.pop() {
        let mut waiting = Box::pin(router.route(Need::default(), Instant::now()));
        assert!(waiting.as_mut().now_or_never().is_none());
        let room = leaves.lane().to_owned();
        drop(leaves);
        assert_eq!(waiting.await.unwrap().lane(), room);
        assert_eq!(stands(&router, &room).1, 0);
        // It is taken again, so that only the next to leave makes room.
        std::mem::forget(router.route(Need::default(), Instant::now()).await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn room_wakes_those_who_wait_for_it_past_those_who_wait_for_other_lanes() {
    let backends = [Scripted::hanging("a"), Scripted::hanging("b")];
    let router = router(backends.each_ref().map(|backend| {
        let (lane, config) = with_concurrency(backend, 1);
        let models = vec![lane.name().to_owned()];
        (lane, LaneConfig { models, ..config })
    }));
    let _a = router.route(Need::answer(Some("a")), Instant::now()).await.unwrap();
    let b = router.route(Need::answer(Some("b")), Instant::now()).await.unwrap();
    let mut for_a = Box::pin(router.route(Need::answer(Some("a")), Instant::now()));
    let mut for_b = Box::pin(router.route(Need::answer(Some("b")), Instant::now()));
    assert!(for_a.as_mut().now_or_never().is_none() && for_b.as_mut().now_or_never().is_none());
    drop(b);
    assert!(for_a.as_mut().now_or_never().is_none());
    assert!(for_b.as_mut().now_or_never().is_some_and(|ticket| ticket.is_ok()));
}

#[tokio::test(start_paused = true)]
async fn a_better_group_that_is_at_its_limit_is_worth_a_worse_one() {
    let better = Scripted::hanging("better");
    let worse = Scripted::hanging("worse");
    let (backend, config) = with_concurrency(&better, 1);
    let router = router([(backend, LaneConfig { priority: -1, ..config }), lane(&worse)]);
    let first = router.route(Need::default(), Instant::now()).await.unwrap();
    let second = router.route(Need::default(), Instant::now()).await.unwrap();
    assert_eq!((first.lane(), second.lane()), ("better", "worse"));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_lane_that_shuts_is_told() {
    let backend = Scripted::refusing("only", GenerateError::RefusedCredentials);
    let router = router([with_concurrency(&backend, 1)]);
    let first = router.route(Need::default(), Instant::now()).await.unwrap();
    let mut waiting = Box::pin(router.route(Need::default(), Instant::now()));
    assert!(waiting.as_mut().now_or_never().is_none());
    first.start(Box::new(request("r")), |_| {}).await.unwrap_err();
    assert!(matches!(waiting.await, Err(RouteError::Shut { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_waits_for_room_on_the_next_lane() {
    let first = Scripted::refusing("first", unavailable());
    let second = Scripted::saying("second", &["a"]);
    let (backend, config) = with_concurrency(&second, 1);
    let router = router([with_priority(&first, -1), (backend, config)]);
    let taken = {
        let ticket = router.route(Need::default(), Instant::now()).await.unwrap();
        ticket.start(Box::new(request("r")), |_| {}).await.unwrap()
    };
    let mut asking = Box::pin(ask(&router));
    assert!(asking.as_mut().now_or_never().is_none());
    taken.served();
    assert_eq!(asking.await.unwrap(), "second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost_between_many_callers_and_few_places() {
    let lanes = [Scripted::saying("a", &["x"]), Scripted::saying("b", &["x"])];
    let router = router(lanes.each_ref().map(|backend| with_concurrency(backend, 1)));
    let tasks = TaskTracker::new();
    let callers = (0..8).map(|caller| {
        let router = Arc::clone(&router);
        tasks.spawn(async move {
            for round in 0..100 {
                if (caller + round) % 4 == 0 {
                    // Somebody who looks once and leaves takes nobody's place.
                    drop(router.route(Need::default(), Instant::now()).now_or_never());
                } else {
                    ask(&router).await.unwrap();
                }
            }
        })
    });
    let all = tokio::time::timeout(Duration::from_secs(20), join_all(callers)).await;
    all.expect("nobody waits for ever").into_iter().for_each(Result::unwrap);
    assert_eq!((stands(&router, "a").1, stands(&router, "b").1), (0, 0));
}

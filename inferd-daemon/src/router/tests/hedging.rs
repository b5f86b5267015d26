//! A lane that is slow to begin gets a rival.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use super::*;

const PATIENCE: Duration = Duration::from_secs(2);

/// One sender a call.
type Says = Arc<Mutex<Vec<mpsc::Sender<TokenEvent>>>>;

/// A backend whose answers the test gives.
fn told(name: &str) -> (Arc<Scripted>, Says) {
    let say = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&say);
    let backend = Scripted::new(name, move |_, _| {
        let (say, said) = mpsc::channel(4);
        kept.lock().unwrap().push(say);
        Turn::Follow(said)
    });
    (backend, say)
}

fn hedged(backend: &Arc<Scripted>, priority: i32) -> (Arc<dyn Backend>, LaneConfig) {
    let (backend, config) = with_priority(backend, priority);
    (backend, LaneConfig { hedge_after: Some(PATIENCE), ..config })
}

/// A request, and each lane that it was said to have moved to.
fn asks(
    router: &Arc<Router>,
) -> (BoxFuture<'static, Result<String, RouteError>>, std::sync::mpsc::Receiver<String>) {
    let (tell, moves) = std::sync::mpsc::channel();
    let router = Arc::clone(router);
    let asking = async move {
        let ticket = router.route(Need::default(), Instant::now()).await?;
        // Not everybody listens.
        let moved = move |lane: &str| drop(tell.send(lane.to_owned()));
        let tokens = ticket.start(Box::new(request("r")), moved).await?;
        let lane = tokens.lane().to_owned();
        tokens.served();
        Ok(lane)
    };
    // Where it ought to end it does so long before.
    let asking = tokio::time::timeout(Duration::from_secs(3600), asking);
    (asking.map(|asked| asked.expect("nobody waits in vain")).boxed(), moves)
}

/// Lets `asking` go as far as it goes until `time` has passed.
async fn pass(asking: &mut BoxFuture<'static, Result<String, RouteError>>, time: Duration) {
    assert!(tokio::time::timeout(time, asking).await.is_err(), "it ended early");
}

#[tokio::test(start_paused = true)]
async fn when_the_first_has_not_begun_in_time_a_second_does_and_the_quicker_has_the_request() {
    let slow = Scripted::hanging("slow");
    let second = Scripted::saying("second", &["a"]);
    let router = router([hedged(&slow, 0), with_priority(&second, 1)]);
    let began = Instant::now();
    let (asking, moves) = asks(&router);
    assert_eq!(asking.await.unwrap(), "second");
    assert_eq!(began.elapsed().as_millis(), PATIENCE.as_millis());
    assert_eq!(moves.try_iter().collect::<Vec<_>>(), ["second"]);
    assert_eq!((slow.calls(), slow.alive(), second.calls()), (1, 0, 1));
    assert_eq!(slow.seen(), second.seen(), "the same request");
    let lanes = router.state();
    assert_eq!((lanes[0].state, lanes[0].running), ("passing", 0), "nobody is blamed for being slower");
    assert_eq!(format!("{:.0}", lanes[0].first_token_ms), "2000", "but it is known to be");
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_begins_in_time_has_no_rival() {
    let (first, say) = told("first");
    let second = Scripted::saying("second", &["a"]);
    let router = router([hedged(&first, 0), with_priority(&second, 1)]);
    let (mut asking, moves) = asks(&router);
    pass(&mut asking, PATIENCE.checked_sub(Duration::from_millis(1)).unwrap()).await;
    say.lock().unwrap()[0].try_send(token("a")).unwrap();
    assert_eq!(asking.await.unwrap(), "first");
    assert_eq!((second.calls(), moves.try_iter().count()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_rival_that_is_slower_still_leaves_without_a_trace() {
    let (first, say) = told("first");
    let second = Scripted::hanging("second");
    let router = router([hedged(&first, 0), with_concurrency(&second, 1)]);
    let (mut asking, moves) = asks(&router);
    pass(&mut asking, PATIENCE * 2).await;
    assert_eq!((first.alive(), second.alive()), (1, 1));
    say.lock().unwrap()[0].try_send(token("a")).unwrap();
    assert_eq!(asking.await.unwrap(), "first");
    assert_eq!(moves.try_iter().count(), 0);
    assert_eq!((stands(&router, "second"), second.alive()), (("passing", 0), 0));
}

#[tokio::test(start_paused = true)]
async fn when_the_first_fails_the_second_goes_on_alone() {
    let (first, say) = told("first");
    let (second, say_too) = told("second");
    let third = Scripted::saying("third", &["a"]);
    let router = router([hedged(&first, 0), with_priority(&second, 1), with_priority(&third, 2)]);
    for _ in 0..3 {
        let (mut asking, moves) = asks(&router);
        pass(&mut asking, PATIENCE).await;
        let calls = second.calls();
        let fail = say.lock().unwrap().pop().unwrap();
        fail.try_send(TokenEvent::Failed(unavailable())).unwrap();
        pass(&mut asking, PATIENCE).await;
        assert_eq!(moves.try_iter().collect::<Vec<_>>(), ["second"]);
        assert_eq!((second.calls(), third.calls()), (calls, 0), "no other is tried while it runs");
        let begin = say_too.lock().unwrap().pop().unwrap();
        begin.try_send(token("a")).unwrap();
        assert_eq!(asking.await.unwrap(), "second");
    }
    assert_eq!(stands(&router, "first"), ("shut", 0), "its failures count as any other");
}

#[tokio::test(start_paused = true)]
async fn when_the_second_fails_the_first_goes_on_alone() {
    let (first, say) = told("first");
    let second = Scripted::refusing("second", unavailable());
    let third = Scripted::saying("third", &["a"]);
    let router = router([hedged(&first, 0), with_priority(&second, 1), with_priority(&third, 2)]);
    let (mut asking, moves) = asks(&router);
    pass(&mut asking, PATIENCE * 3).await;
    assert_eq!((second.calls(), third.calls()), (1, 0));
    say.lock().unwrap()[0].try_send(token("a")).unwrap();
    assert_eq!(asking.await.unwrap(), "first");
    assert_eq!(moves.try_iter().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn when_both_fail_the_request_moves_on_to_one_that_was_not_tried() {
    let (first, say) = told("first");
    let second = Scripted::refusing("second", unavailable());
    let third = Scripted::saying("third", &["a"]);
    let router = router([hedged(&first, 0), hedged(&second, 1), with_priority(&third, 2)]);
    let (mut asking, moves) = asks(&router);
    pass(&mut asking, PATIENCE * 2).await;
    say.lock().unwrap()[0].try_send(TokenEvent::Failed(unavailable())).unwrap();
    assert_eq!(asking.await.unwrap(), "third");
    assert_eq!(moves.try_iter().collect::<Vec<_>>(), ["third"]);
    assert_eq!((first.calls(), second.calls()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn only_a_lane_that_passes_is_ready_has_room_and_serves_the_model_is_a_rival() {
    let shut = Scripted::refusing("shut", GenerateError::RefusedCredentials);
    let full = Scripted::hanging("full");
    let other = Scripted::saying("other", &["a"]);
    let loading = Scripted::saying("loading", &["a"]);
    loading.set_ready(false);
    let slow = Scripted::hanging("slow");
    let serving = |(backend, config): (Arc<dyn Backend>, LaneConfig), models: &[&str]| {
        (backend, LaneConfig { models: models.iter().map(ToString::to_string).collect(), ..config })
    };
    let router = router([
        serving(with_priority(&shut, -1), &["m", "shut"]),
        serving(hedged(&slow, 0), &["m"]),
        serving(with_concurrency(&full, 1), &["m", "full"]),
        serving(with_priority(&other, 1), &["n"]),
        serving(with_priority(&loading, 1), &["m"]),
    ]);
    ask_for(&router, Some("shut")).await.unwrap_err();
    let _full = router.route(Need::answer(Some("full")), Instant::now()).await.unwrap();
    let mut asking = Box::pin(ask_for(&router, Some("m")));
    assert!(asking.as_mut().now_or_never().is_none());
    // The cooldown is over: it may be probed, but not by way of a hedge.
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(tokio::time::timeout(PATIENCE * 10, asking).await.is_err());
    assert_eq!((shut.calls(), slow.calls()), (1, 1));
    assert_eq!((full.calls(), other.calls(), loading.calls()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn there_are_never_more_than_two_at_once() {
    let lanes = ["a", "b", "c", "d"].map(Scripted::hanging);
    let router = router(lanes.each_ref().map(|lane| hedged(lane, 0)));
    let (mut asking, _moves) = asks(&router);
    pass(&mut asking, PATIENCE * 100).await;
    assert_eq!(lanes.iter().map(|lane| lane.calls()).sum::<usize>(), 2);
    drop(asking);
    assert_eq!(lanes.iter().map(|lane| lane.alive()).sum::<usize>(), 0, "who leaves cancels both");
    assert!(router.state().iter().all(|lane| (lane.state, lane.running) == ("passing", 0)));
}

#[tokio::test(start_paused = true)]
async fn hedging_is_paid_for_out_of_the_retry_budget() {
    let slow = Scripted::hanging("slow");
    let second = Scripted::saying("second", &["a"]);
    let router = router([hedged(&slow, 0), with_priority(&second, 1)]);
    let asking: Vec<_> = (0..100).map(|_| asks(&router).0).collect();
    let answered = join_all(asking.into_iter().map(|asking| tokio::time::timeout(PATIENCE * 2, asking)));
    let answered = answered.await.into_iter().flatten().count();
    // Ten seconds of three each, and a fifth of the requests.
    assert!((49..=50).contains(&answered), "{answered}");
    assert_eq!(second.calls(), answered);
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_slow_to_begin_is_chosen_less() {
    let slow = Scripted::hanging("slow");
    let quick = Scripted::saying("quick", &["a"]);
    let router = router([hedged(&slow, 0), hedged(&quick, 0)]);
    for _ in 0..50 {
        assert_eq!(asks(&router).0.await.unwrap(), "quick");
    }
    // Both are tried once; from then on it is known which is slow.
    assert!(slow.calls() <= 1, "{}", slow.calls());
}

#[tokio::test(start_paused = true)]
async fn being_cancelled_early_is_no_sign_of_being_quick() {
    let (first, say) = told("first");
    let (second, say_too) = told("second");
    let router = router([hedged(&first, 0), with_priority(&second, 1)]);
    // The second is known to take four seconds.
    let four = async {
        tokio::time::sleep(Duration::from_secs(6)).await;
        say_too.lock().unwrap()[0].try_send(token("a")).unwrap();
    };
    assert_eq!(tokio::join!(asks(&router).0, four).0.unwrap(), "second");
    let known = || format!("{:.0}", router.state()[1].first_token_ms);
    assert_eq!(known(), "4000");

    let (mut asking, _moves) = asks(&router);
    pass(&mut asking, PATIENCE + Duration::from_millis(10)).await;
    say.lock().unwrap()[1].try_send(token("a")).unwrap();
    assert_eq!(asking.await.unwrap(), "first");
    assert_eq!(known(), "4000");
}

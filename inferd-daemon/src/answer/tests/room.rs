//! Lanes with a limit of their own, as requests meet them: who has no room keeps its place and takes nobody's slot.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use tokio_util::task::TaskTracker;

use super::*;
use crate::router::BreakerConfig;

/// A gate and lanes, and whatever comes to them.
struct House {
    gate: Admission,
    router: Arc<Router>,
}

/// Longer than the first cooldown with its jitter.
const COOLDOWN: Duration = Duration::from_secs(37);

type Ended = Result<Vec<String>, AnswerError>;

fn limited(backend: &Arc<Scripted>, concurrency: usize) -> (Arc<dyn Backend>, LaneConfig) {
    let models = vec![backend.name().to_owned(), "shared".to_owned()];
    let config = LaneConfig { concurrency: Some(concurrency), models, ..LaneConfig::default() };
    (Arc::clone(backend) as Arc<dyn Backend>, config)
}

impl House {
    fn new(
        active: usize,
        queue_depth: usize,
        lanes: impl IntoIterator<Item = (Arc<dyn Backend>, LaneConfig)>,
    ) -> Self {
        Self { gate: Admission::new(active, queue_depth), router: Arc::new(Router::with_lanes(lanes)) }
    }

    fn asks(&self, request: Resolved) -> BoxFuture<'static, Ended> {
        let (gate, router) = (self.gate.clone(), Arc::clone(&self.router));
        async move {
            let who = gate.client(ClientKey::Connection(1));
            let mut notes = Notes::new(&gate);
            let answered = answer(&gate, &router, &who, Box::new(request), Instant::now(), &mut notes);
            let ended = tokio::time::timeout(VAIN, answered).await.expect("nobody waits in vain");
            ended.map(|()| notes.events)
        }
        .boxed()
    }

    /// A request for this model, as far as it goes by itself.
    fn wants(&self, model: &str) -> BoxFuture<'static, Ended> {
        let mut asking = self.asks(naming(model));
        assert_eq!((&mut asking).now_or_never(), None);
        asking
    }

    fn counts(&self) -> (usize, usize) {
        let state = self.gate.state();
        (state.running, state.waiting)
    }
}

fn naming(model: &str) -> Resolved {
    Resolved { model: Some(model.to_owned()), ..request("r") }
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_full_holds_no_slot_that_others_could_use() {
    let (slow, other) = (Scripted::hanging("slow"), Scripted::hanging("other"));
    let house = House::new(3, 8, [limited(&slow, 1), limited(&other, 8)]);
    let mut on_slow: Vec<_> = (0..4).map(|_| house.wants("slow")).collect();
    assert_eq!(house.counts(), (1, 3));
    let _on_other = [house.wants("other"), house.wants("other")];
    assert_eq!((house.counts(), other.alive()), ((3, 3), 2));
    // Who leaves its lane makes room for the next of it.
    drop(on_slow.remove(0));
    assert_eq!(house.counts(), (3, 2));
    assert_eq!((&mut on_slow[0]).now_or_never(), None);
    assert_eq!((slow.calls(), slow.alive()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_whoever_would_have_to_wait_for_room() {
    let slow = Scripted::hanging("slow");
    let house = House::new(8, 1, [limited(&slow, 1)]);
    let _held = [house.wants("slow"), house.wants("slow")];
    let refused = house.asks(naming("slow")).await.unwrap_err();
    assert!(matches!(refused, AnswerError::Refused(Refused::QueueFull { .. })), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn max_wait_covers_the_wait_for_room_and_for_a_lane_that_was_full_after_all() {
    let slow = Scripted::hanging("slow");
    let house = House::new(8, 8, [limited(&slow, 1)]);
    let held = house.wants("slow");
    let hasty = Resolved { max_wait: Some(Duration::from_secs(5)), ..naming("slow") };
    let began = Instant::now();
    let error = house.asks(hasty.clone()).await.unwrap_err();
    assert_eq!(error.to_string(), "max_wait_ms of 5000 ms passed");
    drop(held);

    // It was let in, and somebody who does not come through the gate was quicker.
    let route = || house.router.route(Need::answer(Some("slow")), Instant::now());
    let held = route().await.unwrap();
    let mut asking = house.asks(hasty);
    assert_eq!((&mut asking).now_or_never(), None);
    drop(held);
    assert_eq!(house.counts(), (1, 0));
    let taken = route().await.unwrap();
    assert_eq!((&mut asking).now_or_never(), None);
    assert_eq!(asking.await.unwrap_err().to_string(), "max_wait_ms of 5000 ms passed");
    assert_eq!(began.elapsed().as_secs(), 10);
    drop(taken);
    assert_eq!(house.counts(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_lanes_that_shut_is_told_so() {
    let failing = Scripted::new("only", |_, _| Turn::Refuse(GenerateError::RefusedCredentials));
    let house = House::new(8, 8, [limited(&failing, 1)]);
    let held = house.router.route(Need::default(), Instant::now()).await.unwrap();
    let waiting = house.wants("only");
    assert_eq!(house.counts(), (0, 1));
    held.start(Box::new(request("r")), |_| {}).await.unwrap_err();
    let told = waiting.await.unwrap_err();
    assert!(matches!(told, AnswerError::Route(RouteError::Shut { .. })), "{told}");
    let told = house.asks(naming("only")).await.unwrap_err();
    assert!(matches!(told, AnswerError::Route(RouteError::Shut { .. })), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_failover_makes_room_on_the_lane_it_leaves() {
    let first = Scripted::new("first", |call, _| match call {
        0 => Turn::Refuse(GenerateError::Unavailable("down".to_owned())),
        _ => Turn::Say(crate::scripted::answer(&["a"])),
    });
    let second = Scripted::hanging("second");
    let (backend, config) = limited(&first, 1);
    let house = House::new(8, 8, [(backend, LaneConfig { priority: -1, ..config }), limited(&second, 1)]);
    let held = house.router.route(Need::answer(Some("first")), Instant::now()).await.unwrap();
    let waiting = house.wants("first");
    let moving = held.start(Box::new(naming("shared")), |_| {});
    let moves = async { tokio::time::timeout(Duration::from_secs(1), moving).await.is_err() };
    let (ended, hangs) = tokio::join!(waiting, moves);
    assert!(hangs, "the second lane never answers");
    assert_eq!(ended.unwrap()[0], "running on first");
}

#[tokio::test(start_paused = true)]
async fn a_cooldown_that_ends_gives_its_lane_to_who_waits() {
    let full = Scripted::hanging("full");
    let shut = Scripted::new("shut", |call, _| match call {
        0 => Turn::Refuse(GenerateError::RefusedCredentials),
        _ => Turn::Say(crate::scripted::answer(&["a"])),
    });
    let house = House::new(8, 8, [limited(&full, 1), limited(&shut, 1)]);
    let _hangs = house.wants("full");
    house.asks(naming("shut")).await.unwrap_err();
    let waiting = house.wants("shared");
    assert_eq!(house.counts(), (1, 1));
    let began = Instant::now();
    assert_eq!(waiting.await.unwrap()[0], "running on shut");
    let took = began.elapsed();
    assert!(took >= BreakerConfig::default().cooldown && took < COOLDOWN, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_change_of_lanes_gives_who_waits_its_room() {
    let slow = Scripted::hanging("slow");
    let house = House::new(8, 8, [limited(&slow, 1)]);
    let mut asking = [house.wants("slow"), house.wants("slow"), house.wants("slow")];
    assert_eq!(house.counts(), (1, 2));
    house.router.reconfigure([limited(&slow, 2)]);
    assert_eq!(house.counts(), (2, 1));
    let (backend, config) = limited(&slow, 2);
    house.router.reconfigure([(backend, LaneConfig { concurrency: None, ..config })]);
    assert_eq!(house.counts(), (3, 0));
    assert!(asking.iter_mut().all(|asking| asking.now_or_never().is_none()));
    assert_eq!(slow.alive(), 3);
    drop(asking);
    assert_eq!((house.counts(), slow.alive()), ((0, 0), 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everybody_is_served_by_lanes_with_little_room() {
    let lanes = ["a", "b"].map(|name| Scripted::saying(name, &["x", "y"]));
    let house = House::new(3, 64, lanes.each_ref().map(|backend| limited(backend, 1)));
    let tasks = TaskTracker::new();
    let callers = (0..12).map(|caller| {
        let house = House { gate: house.gate.clone(), router: Arc::clone(&house.router) };
        tasks.spawn(async move {
            for round in 0..100 {
                let model = ["a", "b", "shared"][(caller + round) % 3];
                let asking = house.asks(naming(model));
                if round % 5 == 0 {
                    // Whoever looks once and leaves takes nothing along.
                    drop(asking.now_or_never());
                } else {
                    asking.await.unwrap();
                }
            }
        })
    });
    let all = tokio::time::timeout(Duration::from_secs(30), join_all(callers)).await;
    all.expect("nobody waits for ever").into_iter().for_each(Result::unwrap);
    assert_eq!(house.counts(), (0, 0));
    assert!(house.router.state().iter().all(|lane| lane.running == 0));
}

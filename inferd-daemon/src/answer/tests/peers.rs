//! Lanes of peers, as requests meet them: what people answer keeps nobody else from running.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use inferd_engine::sampling::{FakeAnswer, FakeSamplingClient, SamplingBackend};

use super::*;
use crate::mcp::lend::{Lease, Pool, Scope, Terms};

/// A gate with one slot, a lane of peers that takes `concurrency` at a time, and a lane that hangs.
struct House {
    gate: Admission,
    router: Arc<Router>,
    pool: Pool,
    own: Arc<Scripted>,
}

type Ended = Result<Vec<String>, AnswerError>;

impl House {
    fn new(concurrency: usize) -> Self {
        let (pool, own) = (Pool::default(), Scripted::hanging("own"));
        let lane = |models: &[&str]| LaneConfig {
            models: models.iter().map(|&model| model.to_owned()).collect(),
            ..LaneConfig::default()
        };
        let peers = LaneConfig { concurrency: Some(concurrency), peers: true, ..lane(&["lent", "both"]) };
        let lent: Arc<dyn Backend> = Arc::new(SamplingBackend::new("lent", Arc::new(pool.clone())));
        let own_lane = (Arc::clone(&own) as Arc<dyn Backend>, lane(&["own", "both"]));
        let router = Arc::new(Router::with_lanes([(lent, peers), own_lane]));
        Self { gate: Admission::new(1, 8), router, pool, own }
    }

    fn lend(&self, answer: FakeAnswer) -> (Lease, Arc<FakeSamplingClient>) {
        let peer = Arc::new(FakeSamplingClient::sequence([answer]).of_session("s"));
        let terms = Terms { session: "s".into(), principal: None, scope: Scope::Own };
        (self.pool.lend(Arc::clone(&peer) as _, terms), peer)
    }

    fn asks(&self, request: Resolved) -> BoxFuture<'static, Ended> {
        let (gate, router) = (self.gate.clone(), Arc::clone(&self.router));
        async move {
            let who = gate.client(ClientKey::Connection(1));
            let mut notes = Notes::new(&gate);
            let answered = answer(&gate, &router, &who, Box::new(request), Instant::now(), &mut notes);
            answered.await.map(|()| notes.events)
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
async fn what_a_person_considers_holds_no_slot_and_waits_for_none() {
    let house = House::new(64);
    let (_lease, peer) = house.lend(FakeAnswer::Never);
    let mut considered: Vec<_> = (0..9).map(|_| house.wants("lent")).collect();
    peer.until_asked(1).await;
    assert_eq!(house.counts(), (0, 0));
    let _running = house.wants("own");
    assert_eq!((house.counts(), house.own.alive()), ((1, 0), 1));
    let _waiting = house.wants("own");
    // The slot is taken and somebody waits for it.
    considered.push(house.wants("lent"));
    assert_eq!(house.counts(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_lane_of_peers_that_is_full_has_its_own_wait_and_lets_them_in_while_no_slot_is_free() {
    let house = House::new(1);
    let (_lease, peer) = house.lend(FakeAnswer::Never);
    let _running = house.wants("own");
    let first = house.wants("lent");
    let mut second = house.wants("lent");
    assert_eq!(house.counts(), (1, 1));
    peer.until_asked(0).await;
    drop(first);
    assert_eq!((&mut second).now_or_never(), None);
    assert_eq!(house.counts(), (1, 0));
    drop(second);
    assert_eq!(house.counts(), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_nobody_is_behind_is_passed_over_and_says_so_where_it_is_alone() {
    let house = House::new(64);
    let _on_own: Vec<_> = (0..1).map(|_| house.wants("both")).collect();
    assert_eq!(house.own.alive(), 1);
    let error = house.asks(naming("lent")).await.unwrap_err();
    let not_ready = RouteError::Lane { lane: "lent".to_owned(), error: GenerateError::NotReady };
    assert_eq!(error, AnswerError::Route(not_ready));
}

#[tokio::test(start_paused = true)]
async fn peers_that_fail_shut_no_lane() {
    let house = House::new(64);
    let (lease, _) = house.lend(FakeAnswer::Transport);
    for _ in 0..9 {
        assert!(house.asks(naming("lent")).await.is_err());
    }
    drop(lease);
    let (_lease, _) = house.lend(FakeAnswer::Text("a".to_owned()));
    assert!(house.asks(naming("lent")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_peers_own_request_does_not_wait_for_a_slot_while_the_peer_is_waited_for() {
    let house = House::new(64);
    let (_lease, peer) = house.lend(FakeAnswer::Never);
    let _running = house.wants("own");
    let mut from_the_peer = naming("own");
    from_the_peer.caller.session = Some("s".into());
    let mut patient = house.asks(from_the_peer.clone());
    assert_eq!((&mut patient).now_or_never(), None, "nobody waits for the peer: it may wait");
    drop(patient);
    let asking = house.wants("lent");
    let waiting = tokio_util::task::TaskTracker::new().spawn(asking);
    peer.until_asked(1).await;
    let refused = house.asks(from_the_peer).await.unwrap_err();
    assert!(matches!(
        refused,
        AnswerError::Route(RouteError::Lane { error: GenerateError::Declined(_), .. })
    ));
    waiting.abort();
}

//! A peer never waits for itself.

use inferd_engine::sampling::SamplingCoordinator;
use tokio::time::timeout;

use super::*;

fn of_session(session: &str) -> Call {
    let caller = Caller { session: Some(session.into()), ..Caller::default() };
    Call { caller, ..Call::from(ask("a")) }
}

#[tokio::test(start_paused = true)]
async fn what_came_from_a_peer_is_not_sent_to_it() {
    let peer = Arc::new(FakeSamplingClient::canned("x").of_session("s1"));
    let coordinator = SamplingCoordinator::adaptive(peer.clone());
    let (took, answered) = timed(coordinator.call(of_session("s1"))).await;
    let Err(SamplingError::ReEntry(_)) = answered else { panic!("{answered:?}") };
    assert_eq!(took, ms(0));
    assert!(coordinator.call(of_session("s2")).await.is_ok());
    assert_eq!(peer.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn while_a_peer_has_calls_to_answer_its_own_do_not_wait() {
    let peer = peer([FakeAnswer::Never]);
    let coordinator = SamplingCoordinator::adaptive(peer.clone());
    let standoff = coordinator.standoff().clone();
    // From the moment the call is taken: the one that waits for it may hold a permit.
    let mut call = Box::pin(coordinator.submit(ask("a")));
    assert!(timeout(ms(1), &mut call).await.is_err());
    assert!(peer.requests().is_empty(), "still gathering");
    assert_eq!(standoff.asked(), 1);
    assert!(matches!(standoff.wait(), Err(SamplingError::ReEntry(_))));
    drop(call);
    drop(standoff.wait().expect("nobody waits for the peer"));
}

#[tokio::test(start_paused = true)]
async fn while_a_peers_own_call_waits_it_is_not_asked() {
    let peer = peer([echo(ms(0))]);
    let coordinator = SamplingCoordinator::adaptive(peer.clone());
    let waiting = coordinator.standoff().wait().unwrap();
    assert!(matches!(coordinator.submit(ask("a")).await, Err(SamplingError::ReEntry(_))));
    drop(waiting);
    assert_eq!(answer(&coordinator.submit(ask("a")).await), "re: a");
    assert_eq!(coordinator.standoff().asked(), 0);
}

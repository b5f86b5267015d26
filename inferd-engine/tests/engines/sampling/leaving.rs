//! Callers that leave, and what the peer hears of it.

use futures_util::future::join_all;
use inferd_engine::sampling::SamplingCoordinator;
use tokio::time::timeout;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_caller_that_left_is_not_asked_about() {
    let peer = peer([echo(ms(0))]);
    let coordinator = fixed(&peer, ms(100), 10);
    let leaving = timeout(ms(50), coordinator.submit(ask("gone")));
    let (gone, answers) = tokio::join!(leaving, submit_all(&coordinator, [(ms(0), "a"), (ms(10), "b")]));
    assert!(gone.is_err());
    assert_eq!(all_asked(&peer), [["a", "b"]]);
    assert_eq!(answers.iter().map(answer).collect::<Vec<_>>(), ["re: a", "re: b"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_left_of_a_batch_passes_as_it_is() {
    let peer = peer([echo(ms(0))]);
    let coordinator = fixed(&peer, ms(100), 10);
    let (gone, answered) =
        tokio::join!(timeout(ms(50), coordinator.submit(ask("gone"))), coordinator.submit(ask("a")));
    assert!(gone.is_err());
    assert_eq!(peer.requests(), [ask("a")]);
    assert_eq!(answer(&answered), "re: a");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_takes_its_call_back_from_the_peer() {
    let peer = peer([FakeAnswer::Never]);
    let coordinator = SamplingCoordinator::adaptive(peer.clone());
    assert!(timeout(ms(1000), coordinator.submit(ask("a"))).await.is_err());
    timeout(ms(1), peer.until_cancelled(1)).await.expect("the peer is told at once");
}

#[tokio::test(start_paused = true)]
async fn a_merged_call_is_taken_back_with_its_last_caller() {
    let peer = peer([FakeAnswer::Never]);
    let coordinator = SamplingCoordinator::adaptive(peer.clone());
    let call = |patience| timeout(ms(patience), coordinator.submit(ask("a")));
    let mut calls = Box::pin(join_all([call(100), call(300), call(200)]));
    assert!(timeout(ms(299), &mut calls).await.is_err());
    assert_eq!((peer.requests().len(), peer.cancelled()), (1, 0), "one still waits");
    calls.await;
    timeout(ms(1), peer.until_cancelled(1)).await.expect("nobody waits");
}

#[tokio::test(start_paused = true)]
async fn those_who_stay_get_their_answers() {
    let peer = peer([echo(ms(1000))]);
    let coordinator = SamplingCoordinator::adaptive(peer.clone());
    let (gone, answered) =
        tokio::join!(timeout(ms(500), coordinator.submit(ask("gone"))), coordinator.submit(ask("a")));
    assert!(gone.is_err());
    assert_eq!(answer(&answered), "re: a");
    assert_eq!(peer.cancelled(), 0);
}

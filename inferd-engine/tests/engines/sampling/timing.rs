//! Time-outs: the peer's own time, and no other.

use futures_util::future::join_all;
use inferd_engine::sampling::{CoordinatorConfig, Patience, SamplingCoordinator};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_call_times_out_and_is_taken_back() {
    for coordinate in [SamplingCoordinator::adaptive, SamplingCoordinator::new] {
        let peer = peer([FakeAnswer::Never]);
        let coordinator = coordinate(peer.clone());
        let answers = submit_all(&coordinator, [(ms(0), "a"), (ms(0), "b")]).await;
        assert!(answers.iter().all(|answered| *answered == Err(SamplingError::TimedOut(ms(30_000)))));
        assert_eq!(peer.cancelled(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_who_considers_does_not_time_out_while_the_peer_says_so() {
    let considered = FakeAnswer::Progress(5, ms(25_000), Box::new(echo(ms(25_000))));
    let peer = peer([considered]);
    let coordinator = SamplingCoordinator::adaptive(peer.clone());
    let (took, answers) = timed(submit_all(&coordinator, [(ms(0), "a"), (ms(0), "b")])).await;
    assert_eq!(answers.iter().map(answer).collect::<Vec<_>>(), ["re: a", "re: b"]);
    assert_eq!(took, ms(20 + 150_000));
}

#[tokio::test(start_paused = true)]
async fn progress_without_end_ends() {
    let peer = peer([FakeAnswer::Progress(1000, ms(25_000), Box::new(echo(ms(0))))]);
    let patience = Patience { total_max: ms(100_000), ..Patience::default() };
    let config = CoordinatorConfig { patience, ..CoordinatorConfig::default() };
    let coordinator = SamplingCoordinator::with_config(peer.clone(), config);
    let (took, answered) = timed(coordinator.submit(ask("a"))).await;
    assert_eq!(answered, Err(SamplingError::TimedOut(ms(100_000))));
    assert_eq!(took, ms(100_020));
}

#[tokio::test(start_paused = true)]
async fn limits_beyond_the_clock_are_none() {
    let peer = peer([echo(ms(0))]);
    let endless = Duration::MAX;
    let coordinator = SamplingCoordinator::with_settings(peer.clone(), endless, 2);
    let answers = join_all([coordinator.submit(ask("a")), coordinator.submit(ask("b"))]).await;
    assert!(answers.iter().all(Result::is_ok));
    let coordinator = SamplingCoordinator::with_settings(peer.clone(), ms(100), usize::MAX);
    assert!(coordinator.submit(ask("a")).await.is_ok());
    let patience = Patience { silence_max: endless, total_max: endless };
    let config = CoordinatorConfig { patience, ..CoordinatorConfig::default() };
    let coordinator = SamplingCoordinator::with_config(peer.clone(), config);
    assert!(coordinator.submit(ask("a")).await.is_ok());
}

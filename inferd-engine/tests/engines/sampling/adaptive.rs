//! The daemon's own policy: soon for one, together for many, and nobody held up by somebody else.

use futures_util::future::join_all;
use inferd_engine::sampling::{SamplingCoordinator, SamplingError};
use tokio::time::timeout;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_lone_call_does_not_wait() {
    let peer = peer([echo(ms(500))]);
    let coordinator = SamplingCoordinator::adaptive(peer.clone());
    for _ in 0..3 {
        let (took, answered) = timed(coordinator.submit(ask("a"))).await;
        assert_eq!(answer(&answered), "re: a");
        assert!(took <= ms(525), "{took:?} with 500 ms of the peer's own");
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_ten_costs_at_most_two_approvals() {
    for spacing in [0, 1, 2, 5, 10, 19, 20, 21, 30, 50] {
        let peer = peer([echo(ms(500))]);
        let coordinator = SamplingCoordinator::adaptive(peer.clone());
        let texts: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        let calls: Vec<_> = texts.iter().zip(0..).map(|(text, at)| (ms(at * spacing), &**text)).collect();
        let answers = submit_all(&coordinator, calls).await;
        assert!(peer.requests().len() <= 2, "{spacing} ms apart: {:?}", all_asked(&peer));
        let expected: Vec<_> = texts.iter().map(|text| format!("re: {text}")).collect();
        assert_eq!(answers.iter().map(answer).collect::<Vec<_>>(), expected, "each its own");
    }
}

#[tokio::test(start_paused = true)]
async fn what_gathers_behind_a_call_leaves_with_its_answer() {
    let peer = peer([echo(ms(2000))]);
    let coordinator = SamplingCoordinator::adaptive(peer.clone());
    let calls = [(ms(0), "a"), (ms(100), "b"), (ms(1900), "c")];
    let (took, _) = timed(submit_all(&coordinator, calls)).await;
    assert_eq!(all_asked(&peer), [vec!["a"], vec!["b", "c"]]);
    assert_eq!(took, ms(20 + 2000 + 2000));
}

#[tokio::test(start_paused = true)]
async fn one_stuck_approval_does_not_hold_up_the_rest() {
    let peer = peer([FakeAnswer::Never, echo(ms(500))]);
    let coordinator = SamplingCoordinator::adaptive(peer.clone());
    let (stuck, others) = tokio::join!(
        coordinator.submit(ask("stuck")),
        timed(submit_all(&coordinator, [(ms(100), "a"), (ms(200), "b"), (ms(5150), "c")]))
    );
    assert_eq!(stuck, Err(SamplingError::TimedOut(ms(30_000))));
    let (took, answers) = others;
    assert_eq!(answers.iter().map(answer).collect::<Vec<_>>(), ["re: a", "re: b", "re: c"]);
    assert_eq!(all_asked(&peer), [vec!["stuck"], vec!["a", "b"], vec!["c"]]);
    assert!(took <= ms(6120), "c went with the answer to a and b at 5600: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_waits_longer_than_the_window() {
    let peer = peer([FakeAnswer::Never]);
    let coordinator = SamplingCoordinator::adaptive(peer.clone());
    // Four unanswered requests, the most that a peer has at a time.
    let mut stuck = Box::pin(join_all((0..4).map(|number| {
        let coordinator = &coordinator;
        async move {
            sleep(ms(5001 * number)).await;
            coordinator.submit(ask("stuck")).await
        }
    })));
    let asked = async {
        peer.until_asked(1).await;
        let first = Instant::now();
        peer.until_asked(2).await;
        assert!(first.elapsed() <= ms(5001 + 5000), "{:?}", first.elapsed());
        peer.until_asked(4).await;
    };
    tokio::select! {
        _ = &mut stuck => panic!("nobody answers"),
        () = asked => {}
    }
    let (took, answered) = timed(coordinator.submit(ask("one more"))).await;
    assert_eq!(answered, Err(SamplingError::Busy));
    assert_eq!(took, ms(5000));
    assert_eq!(peer.requests().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_windows_end_ends_the_wait_for_room_too() {
    let peer = peer([FakeAnswer::Never]);
    let coordinator = SamplingCoordinator::adaptive(peer.clone());
    let many = (0..200).map(|number| coordinator.call(ask_as(&number.to_string(), "x")));
    let (took, answers) = timed(join_all(many)).await;
    let busy = answers.iter().filter(|answered| **answered == Err(SamplingError::Busy)).count();
    assert_eq!(busy, 196, "all but the four that the peer has");
    assert!(took <= ms(30_020), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_behind_an_answer_that_came() {
    let peer = peer([FakeAnswer::Never, echo(ms(100))]);
    let coordinator = SamplingCoordinator::adaptive(peer.clone());
    let mut stuck = Box::pin(coordinator.submit(ask("stuck")));
    assert!(timeout(ms(1000), &mut stuck).await.is_err());
    // With one stuck, the window passes once; then the next answer lets others go.
    let calls = [(ms(0), "a"), (ms(5050), "b")];
    let (took, _) = timed(submit_all(&coordinator, calls)).await;
    assert!(took < ms(5050 + 50 + 100 + 25), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_strangers_approval() {
    let peer = peer([echo(ms(3000))]);
    let coordinator = SamplingCoordinator::adaptive(peer.clone());
    for calls in [[ask_as("ann", "a"), ask_as("bob", "b")], [ask_as("ann", "a"), Call::from(ask("c"))]] {
        let (took, answers) = timed(call_all(&coordinator, calls)).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(took, ms(20 + 3000));
    }
}

//! The gate under real threads: what is atomic there is tried here, for a bounded time.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use tokio_util::task::TaskTracker;

use super::*;

/// One run: how many come how often, to a gate of which limits.
#[derive(Clone, Copy)]
struct Run {
    active: usize,
    queue_depth: usize,
    callers: u64,
    rounds: usize,
    patience: Patience,
}

/// How often somebody looks whether its turn has come before it leaves, by round; `None`: it stays.
type Patience = fn(usize) -> Option<usize>;

async fn wait(mut turn: Turn, patience: Option<usize>) -> Option<Result<Permit<'static>, Refused>> {
    let Some(mut polls) = patience else { return Some(turn.await) };
    poll_fn(|cx| match turn.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if polls == 0 => Poll::Ready(None),
        Poll::Pending => {
            polls -= 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

/// Comes and goes; how often it was served.
async fn caller(gate: Admission, number: u64, running: Arc<AtomicUsize>, run: Run) -> usize {
    let client = who(&gate, number % 3);
    let mut served = 0;
    for round in 0..run.rounds {
        let Ok(turn) = enters(&gate, &client, &normal()) else {
            tokio::task::yield_now().await;
            continue;
        };
        if let Some(Ok(permit)) = wait(turn, (run.patience)(round)).await {
            assert!(running.fetch_add(1, Ordering::SeqCst) < run.active, "more than active run");
            permit.charge_token();
            if round % 3 == 0 {
                tokio::task::yield_now().await;
            }
            running.fetch_sub(1, Ordering::SeqCst);
            drop(permit);
            served += 1;
        }
    }
    served
}

/// How many were served.
async fn stress(run: Run) -> usize {
    let gate = Admission::new(run.active, run.queue_depth);
    let tasks = TaskTracker::new();
    let running = Arc::new(AtomicUsize::new(0));
    let callers =
        (0..run.callers).map(|number| tasks.spawn(caller(gate.clone(), number, Arc::clone(&running), run)));
    let all = futures_util::future::join_all(callers);
    let served = tokio::time::timeout(Duration::from_secs(20), all).await.expect("nobody waits for ever");
    assert_eq!(counts(&gate), (0, 0));
    served.into_iter().map(Result::unwrap).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everybody_who_stays_is_served() {
    let run = Run { active: 2, queue_depth: 8, callers: 8, rounds: 250, patience: |_| None };
    assert_eq!(stress(run).await, 8 * 250);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_slot_given_to_somebody_who_leaves_at_that_moment_is_passed_on() {
    let run = Run { active: 2, queue_depth: 4, callers: 8, rounds: 250, patience: |round| Some(round % 4) };
    assert!(stress(run).await > 0);
}

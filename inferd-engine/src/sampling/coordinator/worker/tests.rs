use std::time::Duration;

use rmcp::model::{CreateMessageRequestParams, SamplingMessage};
use tokio::time::timeout;

use super::*;
use crate::sampling::FakeSamplingClient;
use crate::sampling::coordinator::submission::Answered;

/// A key that panics for a call without messages.
fn touchy(call: &Call, across_callers: bool) -> Option<BatchKey> {
    assert!(!call.params.messages.is_empty(), "a call without messages");
    BatchKey::of(call, across_callers)
}

async fn submit(to: &mpsc::Sender<Submission>, messages: Vec<SamplingMessage>) -> Option<Answered> {
    let call = Call::from(CreateMessageRequestParams::new(messages, 1));
    let (submission, answer) = Submission::new(call, Instant::now(), false);
    to.send(submission).await.unwrap();
    answer.await.ok()
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_panics_is_begun_anew_and_its_submitters_learn_of_it() {
    let (submissions, received) = mpsc::channel(10);
    let mut tasks = JoinSet::new();
    tasks.spawn(run(Workshop {
        client: Arc::new(FakeSamplingClient::canned("x")),
        config: CoordinatorConfig::default(),
        key: touchy,
        submissions: received,
        closing: CancellationToken::new(),
    }));
    let good = || vec![SamplingMessage::user_text("hi")];
    for _ in 0..3 {
        let (held, bad) = tokio::join!(submit(&submissions, good()), submit(&submissions, Vec::new()));
        assert_eq!((held, bad), (None, None), "both are dropped, which their callers see");
        assert!(submit(&submissions, good()).await.unwrap().is_ok());
    }
    drop(submissions);
    let ended = timeout(Duration::from_millis(1), tasks.join_next()).await.expect("it ends");
    ended.unwrap().expect("without a panic of its own");
}

//! Nothing grows without bound.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use async_trait::async_trait;
use futures_util::future::join_all;
use inferd_engine::sampling::{CoordinatorConfig, SamplingCoordinator};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_merged_request_keeps_to_its_bytes() {
    let peer = peer([echo(ms(0))]);
    let config = CoordinatorConfig { batch_bytes_max: 1000, ..CoordinatorConfig::default() };
    let coordinator = SamplingCoordinator::with_config(peer.clone(), config);
    let (small, large) = ("s".repeat(300), "l".repeat(2000));
    let calls = [(ms(0), &*small), (ms(0), &*small), (ms(0), &*small), (ms(0), &*large), (ms(0), &*small)];
    let answers = submit_all(&coordinator, calls).await;
    assert!(answers.iter().all(Result::is_ok));
    let mut sizes: Vec<_> = all_asked(&peer).iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 2, 2], "the large one alone, the others two by two");
    for request in peer.requests().iter().filter(|request| asked(request).len() > 1) {
        assert!(said(&request.messages[0]).len() <= 1000 + 20);
    }
}

#[tokio::test(start_paused = true)]
async fn a_merged_request_keeps_to_its_tokens() {
    let peer = peer([echo(ms(0))]);
    let config = CoordinatorConfig { batch_tokens_max: 250, ..CoordinatorConfig::default() };
    let coordinator = SamplingCoordinator::with_config(peer.clone(), config);
    submit_all(&coordinator, [(ms(0), "a"), (ms(0), "b"), (ms(0), "c"), (ms(0), "d"), (ms(0), "e")]).await;
    assert_eq!(all_asked(&peer), [vec!["a", "b"], vec!["c", "d"], vec!["e"]]);
    assert!(peer.requests().iter().all(|request| request.max_tokens <= 250));
}

/// Counts how many of its calls are under way.
#[derive(Default)]
struct Crowd {
    now: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl SamplingClient for Crowd {
    async fn create_message(&self, _: CreateMessageRequestParams) -> Answered {
        let now = self.now.fetch_add(1, Relaxed) + 1;
        self.most.fetch_max(now, Relaxed);
        sleep(ms(10)).await;
        self.now.fetch_sub(1, Relaxed);
        Err(SamplingError::Refused("no".into()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_has_only_so_many_requests_at_a_time() {
    let crowd = Arc::new(Crowd::default());
    let coordinator = SamplingCoordinator::with_settings(crowd.clone(), ms(0), 1);
    let (took, _) = timed(join_all((0..40).map(|_| coordinator.submit(ask("x"))))).await;
    assert_eq!(crowd.most.load(Relaxed), 4);
    assert_eq!(took, ms(100));
}

//! The fixed window: each of its rules.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use inferd_engine::sampling::{SamplingClient, SamplingCoordinator};
use rmcp::model::{ContentBlock, ImageContent, Role, SamplingMessage, SamplingMessageContentBlock};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::*;

#[tokio::test(start_paused = true)]
async fn the_window_is_fixed_and_begins_with_the_first_submission() {
    let peer = peer([echo(ms(0))]);
    let coordinator = fixed(&peer, ms(100), 10);
    let calls = [(ms(0), "a"), (ms(60), "b"), (ms(99), "c"), (ms(110), "d")];
    let (took, answers) = timed(submit_all(&coordinator, calls)).await;
    assert_eq!(all_asked(&peer), [vec!["a", "b", "c"], vec!["d"]]);
    assert_eq!(took, ms(210), "the first window ends at 100, the second, begun at 110, at 210");
    assert!(answers.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_leaves_before_its_window_ends() {
    let peer = peer([echo(ms(0))]);
    let coordinator = fixed(&peer, ms(5000), 3);
    let calls = [(ms(0), "a"), (ms(1), "b"), (ms(2), "c"), (ms(2), "d")];
    let (took, _) = timed(submit_all(&coordinator, calls)).await;
    assert_eq!(all_asked(&peer), [vec!["a", "b", "c"], vec!["d"]]);
    assert_eq!(took, ms(5002));
}

#[tokio::test(start_paused = true)]
async fn two_submissions_fill_a_batch_of_two_in_less_than_two_seconds() {
    let peer = peer([echo(ms(0))]);
    let coordinator = fixed(&peer, ms(5000), 2);
    let (took, answers) = timed(submit_all(&coordinator, [(ms(0), "a"), (ms(0), "b")])).await;
    assert_eq!(peer.requests().len(), 1);
    assert!(took < ms(2000), "{took:?}");
    assert_eq!(answers.iter().map(answer).collect::<Vec<_>>(), ["re: a", "re: b"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_window_or_room_batches_are_of_one() {
    for (window, max_batch) in [(ms(0), 10), (ms(50), 0), (ms(50), 1)] {
        let peer = peer([echo(ms(0))]);
        let coordinator = fixed(&peer, window, max_batch);
        let (took, _) = timed(submit_all(&coordinator, [(ms(0), "a"), (ms(0), "b"), (ms(0), "c")])).await;
        assert_eq!(all_asked(&peer), [["a"], ["b"], ["c"]]);
        assert_eq!(took, ms(0), "there is nothing to wait for");
    }
}

#[tokio::test(start_paused = true)]
async fn first_in_is_first_out() {
    let peer = peer([echo(ms(10))]);
    let coordinator = fixed(&peer, ms(20), 4);
    let texts: Vec<String> = (0..14).map(|number| number.to_string()).collect();
    join_all(texts.iter().map(|text| coordinator.submit(ask(text)))).await;
    assert_eq!(all_asked(&peer).concat(), texts);
}

#[tokio::test(start_paused = true)]
async fn one_call_passes_as_it_is() {
    let image = SamplingMessageContentBlock::Image(ImageContent::new("aGk=", "image/png"));
    let result = SamplingMessageContentBlock::tool_result("t1", vec![ContentBlock::text("42")]);
    let mut params = ask("what is this?");
    params.messages.push(SamplingMessage::new_multiple(Role::User, vec![image, result]));
    params.system_prompt = Some("be brief".into());
    params.temperature = Some(0.5);
    params.stop_sequences = Some(vec!["\n".into()]);
    params.metadata = Some(json!({"k": 1}));
    let mut result = CreateMessageResult::new(SamplingMessage::assistant_text("[\"a cat\"]\n"), "m".into());
    result.stop_reason = Some("whatever".into());

    let peer = peer([FakeAnswer::Answer(Box::new(result.clone()))]);
    let coordinator = fixed(&peer, ms(100), 10);
    assert_eq!(coordinator.submit(params.clone()).await, Ok(result));
    assert_eq!(peer.requests(), [params]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_all_have_left_does_nothing() {
    let peer = peer([echo(ms(0))]);
    let coordinator = fixed(&peer, ms(100), 10);
    assert!(timeout(ms(50), submit_all(&coordinator, [(ms(0), "a"), (ms(0), "b")])).await.is_err());
    coordinator.shutdown().await;
    assert!(peer.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn several_calls_are_one_request_of_tasks() {
    let peer = peer([echo(ms(0))]);
    let coordinator = fixed(&peer, ms(100), 10);
    let mut second = ask("two");
    second.messages.push(SamplingMessage::assistant_text("well"));
    second.messages.push(SamplingMessage::new_multiple(Role::User, vec!["line".into(), "by line".into()]));
    second.max_tokens = 50;
    join_all([coordinator.submit(ask("one")), coordinator.submit(second)]).await;

    let [merged] = &peer.requests()[..] else { panic!("not one request") };
    assert_eq!(merged.messages.len(), 1);
    assert_eq!(merged.messages[0].role, Role::User);
    assert_eq!(
        said(&merged.messages[0]),
        r#"{"tasks":[{"task_index":0,"messages":[{"role":"user","content":"one"}]},{"task_index":1,"messages":[{"role":"user","content":"two"},{"role":"assistant","content":"well"},{"role":"user","content":"line\nby line"}]}]}"#
    );
    let system = merged.system_prompt.as_deref().unwrap();
    assert!(system.contains(r#"exactly 2 objects {"task_index":int,"response":string}"#), "{system}");
    assert!(system.contains("in order, and nothing else"), "{system}");
    assert_eq!(merged.max_tokens, 150);
}

#[tokio::test(start_paused = true)]
async fn max_tokens_are_added_up_within_their_type_and_to_one_at_least() {
    for (each, sum) in [(u32::MAX, u32::MAX), (0, 1)] {
        let peer = peer([echo(ms(0))]);
        let coordinator = fixed(&peer, ms(100), 10);
        let mut params = ask("x");
        params.max_tokens = each;
        join_all([coordinator.submit(params.clone()), coordinator.submit(params)]).await;
        assert_eq!(peer.requests().iter().map(|request| request.max_tokens).collect::<Vec<_>>(), [sum]);
    }
}

#[tokio::test(start_paused = true)]
async fn three_submissions_in_a_window_are_one_request_and_each_gets_its_own_answer() {
    let peer = peer([echo(ms(0))]);
    let coordinator = fixed(&peer, ms(100), 10);
    let answers = submit_all(&coordinator, [(ms(0), "a"), (ms(10), "b"), (ms(20), "c")]).await;
    assert_eq!(peer.requests().len(), 1);
    assert_eq!(answers.iter().map(answer).collect::<Vec<_>>(), ["re: a", "re: b", "re: c"]);
}

#[tokio::test(start_paused = true)]
async fn submissions_of_two_windows_are_two_requests() {
    let peer = peer([echo(ms(0))]);
    let coordinator = fixed(&peer, ms(20), 10);
    submit_all(&coordinator, [(ms(0), "a"), (ms(50), "b")]).await;
    assert_eq!(all_asked(&peer), [["a"], ["b"]]);
}

#[tokio::test(start_paused = true)]
async fn the_plain_constructor_gathers_for_five_seconds_or_ten_calls() {
    let peer = peer([echo(ms(0))]);
    let coordinator = SamplingCoordinator::new(peer.clone());
    let (took, _) = timed(coordinator.submit(ask("a"))).await;
    assert_eq!(took, ms(5000));
    let ten = [(ms(0), "x"); 10];
    let (took, _) = timed(submit_all(&coordinator, ten)).await;
    assert_eq!(took, ms(0));
}

/// Says when it is gone.
struct Farewell(Arc<FakeSamplingClient>, Option<oneshot::Sender<()>>);

#[async_trait]
impl SamplingClient for Farewell {
    async fn create_message(&self, params: CreateMessageRequestParams) -> Answered {
        self.0.create_message(params).await
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        self.1.take().map(|gone| gone.send(()));
    }
}

#[tokio::test(start_paused = true)]
async fn without_its_last_handle_a_coordinator_sends_what_it_has_and_ends() {
    let peer = peer([echo(ms(0))]);
    let (gone, farewell) = oneshot::channel();
    let client = Arc::new(Farewell(peer.clone(), Some(gone)));
    let coordinator = SamplingCoordinator::with_settings(client, ms(5000), 10);
    let start = Instant::now();
    let mut waiting =
        Box::pin(join_all([coordinator.submit(ask("a")), coordinator.clone().submit(ask("b"))]));
    assert!(timeout(ms(10), &mut waiting).await.is_err(), "still gathering");
    drop(coordinator);
    let answers = waiting.await;
    assert_eq!(answers.iter().map(answer).collect::<Vec<_>>(), ["re: a", "re: b"]);
    assert_eq!(start.elapsed(), ms(10));
    timeout(ms(1), farewell).await.expect("the worker ends").expect("and drops its client");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_sends_what_was_collected_and_takes_nothing_more() {
    let peer = peer([echo(ms(30))]);
    let coordinator = fixed(&peer, ms(5000), 10);
    let start = Instant::now();
    let mut waiting = Box::pin(submit_all(&coordinator, [(ms(0), "a"), (ms(0), "b")]));
    assert!(timeout(ms(10), &mut waiting).await.is_err(), "still gathering");
    let (answers, ()) = tokio::join!(waiting, coordinator.shutdown());
    assert_eq!(answers.iter().map(answer).collect::<Vec<_>>(), ["re: a", "re: b"]);
    assert_eq!(start.elapsed(), ms(40), "the window is not waited for, the answer is");
    assert_eq!(coordinator.submit(ask("c")).await, Err(SamplingError::ShutDown));
    assert!(!coordinator.offer().available);
}

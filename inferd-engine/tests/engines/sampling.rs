//! What is promised of calls that go to a sampling peer. All on a paused clock: waiting costs nothing, and every moment
//! is exact.

#![expect(
    deprecated,
    reason = "sampling is deprecated in 2026-07-28, and in use before and until it is removed"
)]

mod adaptive;
mod backend;
mod faults;
mod fixed;
mod leaving;
mod merging;
mod parsing;
mod reentry;
mod sizes;
mod timing;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use inferd_engine::sampling::{
    Call, CreateMessageRequestParams, CreateMessageResult, FakeAnswer, FakeSamplingClient, SamplingClient,
    SamplingCoordinator, SamplingError,
};
use inferd_proto::Caller;
use rmcp::model::{SamplingMessage, SamplingMessageContentBlock};
use serde_json::Value;
use tokio::time::{Instant, sleep};

type Answered = Result<CreateMessageResult, SamplingError>;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A request that says `text`.
fn ask(text: &str) -> CreateMessageRequestParams {
    CreateMessageRequestParams::new(vec![SamplingMessage::user_text(text)], 100)
}

/// The same, of `principal`.
fn ask_as(principal: &str, text: &str) -> Call {
    let caller = Caller { principal: Some(principal.into()), ..Caller::default() };
    Call { caller, ..Call::from(ask(text)) }
}

/// A peer that answers each task with its text behind `re: `, after `delay`.
fn echo(delay: Duration) -> FakeAnswer {
    FakeAnswer::After(delay, Box::new(FakeAnswer::Each(|said| Some(format!("re: {said}")))))
}

fn peer(answers: impl IntoIterator<Item = FakeAnswer>) -> Arc<FakeSamplingClient> {
    Arc::new(FakeSamplingClient::sequence(answers))
}

fn fixed(peer: &Arc<FakeSamplingClient>, window: Duration, max_batch: usize) -> SamplingCoordinator {
    SamplingCoordinator::with_settings(peer.clone(), window, max_batch)
}

/// What is said in `message`.
fn said(message: &SamplingMessage) -> String {
    let blocks = message.content.iter().filter_map(SamplingMessageContentBlock::as_text);
    blocks.map(|block| &*block.text).collect::<Vec<_>>().join("\n")
}

fn answer(answered: &Answered) -> String {
    said(&answered.as_ref().expect("an answer").message)
}

/// The tasks of a merged request.
fn tasks(params: &CreateMessageRequestParams) -> Vec<Value> {
    let merged: Value = serde_json::from_str(&said(&params.messages[0])).expect("a merged request");
    merged["tasks"].as_array().expect("tasks").clone()
}

/// What a request asks, task by task; a request of one call asks one thing.
fn asked(params: &CreateMessageRequestParams) -> Vec<String> {
    match serde_json::from_str::<Value>(&said(&params.messages[0])) {
        Ok(merged) if merged["tasks"].is_array() => {
            let said = |task: &Value| task["messages"][0]["content"].as_str().map(str::to_owned);
            tasks(params).iter().map(|task| said(task).expect("a message")).collect()
        }
        _ => vec![said(&params.messages[0])],
    }
}

/// What all requests to `peer` asked.
fn all_asked(peer: &FakeSamplingClient) -> Vec<Vec<String>> {
    peer.requests().iter().map(asked).collect()
}

/// Submits each text after its delay, and waits for all answers.
async fn submit_all<'a>(
    coordinator: &SamplingCoordinator,
    calls: impl IntoIterator<Item = (Duration, &'a str)>,
) -> Vec<Answered> {
    join_all(calls.into_iter().map(|(delay, text)| async move {
        sleep(delay).await;
        coordinator.submit(ask(text)).await
    }))
    .await
}

/// Calls of their callers, all at once.
async fn call_all(client: &dyn SamplingClient, calls: impl IntoIterator<Item = Call>) -> Vec<Answered> {
    join_all(calls.into_iter().map(|call| client.call(call))).await
}

/// How long `future` takes, and what it gives.
async fn timed<T>(future: impl Future<Output = T>) -> (Duration, T) {
    let start = Instant::now();
    let value = future.await;
    (start.elapsed(), value)
}

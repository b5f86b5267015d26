//! Calls in tasks of their own, a lender by hand, on a paused clock.

use std::time::Duration;

use rmcp::model::SamplingMessage;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::letters::{CALLS_MAX, GATHER};
use super::*;

type Asking = AbortOnDropHandle<Answered>;

fn params(text: &str) -> CreateMessageRequestParams {
    CreateMessageRequestParams::new(vec![SamplingMessage::user_text(text)], 10)
}

/// Asks, and returns once the call is in the mailbox.
async fn ask(mailbox: &Arc<Mailbox>, text: &str) -> Asking {
    let asked = Arc::clone(mailbox);
    let params = params(text);
    let asking = TaskTracker::new().spawn(async move { asked.create_message(params).await });
    tokio::task::yield_now().await;
    AbortOnDropHandle::new(asking)
}

async fn ask_each(mailbox: &Arc<Mailbox>, texts: impl IntoIterator<Item = String>) -> Vec<Asking> {
    let mut asking = Vec::new();
    for text in texts {
        asking.push(ask(mailbox, &text).await);
    }
    asking
}

fn text(params: &CreateMessageRequestParams) -> String {
    params.messages[0].content.first().unwrap().as_text().unwrap().text.clone()
}

fn answer(text: &str) -> Value {
    json!({ "role": "assistant", "content": { "type": "text", "text": text }, "model": "m" })
}

/// What was said, or why nothing was.
async fn heard(asking: Asking) -> Result<String, SamplingError> {
    let result = timeout(Duration::from_secs(3600), asking).await.expect("an end").unwrap()?;
    Ok(result.message.content.first().unwrap().as_text().unwrap().text.clone())
}

fn mailbox() -> Arc<Mailbox> {
    Mailbox::new("lender".into(), false)
}

#[tokio::test(start_paused = true)]
async fn calls_that_arrive_together_are_one_round_of_ten_and_each_gets_its_own_answer() {
    let mailbox = mailbox();
    let asking = ask_each(&mailbox, (0..12).map(|n| n.to_string())).await;
    let began = Instant::now();
    let round = mailbox.round().await;
    assert_eq!(began.elapsed(), Duration::ZERO, "ten wait for nobody");
    let asked: Vec<String> = round.iter().map(|(_, params)| text(params)).collect();
    assert_eq!(asked, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert!(round.is_sorted_by(|one, next| one.0 < next.0), "an object keeps their order");
    let answers = round.iter().map(|(key, params)| (key.clone(), answer(&format!("re {}", text(params)))));
    assert_eq!(mailbox.answer(answers.collect()), 10);
    let round = mailbox.round().await;
    let answers = round.iter().map(|(key, params)| (key.clone(), answer(&format!("re {}", text(params)))));
    assert_eq!(mailbox.answer(answers.collect()), 2);
    for (n, asking) in asking.into_iter().enumerate() {
        assert_eq!(heard(asking).await, Ok(format!("re {n}")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lone_call_waits_for_company_no_longer_than_it_must() {
    let mailbox = mailbox();
    let lender = Arc::clone(&mailbox);
    let round = AbortOnDropHandle::new(TaskTracker::new().spawn(async move { lender.round().await }));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let began = Instant::now();
    let _asking = ask(&mailbox, "alone").await;
    assert_eq!(round.await.unwrap().len(), 1);
    assert_eq!(began.elapsed(), GATHER);
    // One that has waited long enough is taken at once.
    let _second = ask(&mailbox, "second").await;
    tokio::time::sleep(GATHER).await;
    let began = Instant::now();
    assert_eq!(mailbox.round().await.len(), 1);
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_caller_left_is_not_shown_and_its_answer_goes_nowhere() {
    let mailbox = mailbox();
    let left = ask(&mailbox, "left").await;
    let stays = ask(&mailbox, "stays").await;
    drop(left);
    tokio::task::yield_now().await;
    let round = mailbox.round().await;
    assert_eq!(round.len(), 1);
    let (key, params) = &round[0];
    assert_eq!(text(params), "stays");
    drop(stays);
    tokio::task::yield_now().await;
    assert_eq!(mailbox.answer([(key.clone(), answer("late"))].into()), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_withdrawn_while_it_waits_for_company_leaves_no_empty_round() {
    let mailbox = mailbox();
    let lender = Arc::clone(&mailbox);
    let round = AbortOnDropHandle::new(TaskTracker::new().spawn(async move { lender.round().await }));
    drop(ask(&mailbox, "left").await);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!round.is_finished());
    let _stays = ask(&mailbox, "stays").await;
    assert_eq!(text(&round.await.unwrap()[0].1), "stays");
}

#[tokio::test(start_paused = true)]
async fn missing_and_nonsense_answers_fail_alone_each_as_its_own_error() {
    let mailbox = mailbox();
    let mut asking =
        ask_each(&mailbox, ["good", "missing", "number", "shapeless", "refused"].map(str::to_owned)).await;
    let keys: Vec<Key> = mailbox.round().await.into_iter().map(|(key, _)| key).collect();
    let answers = [
        (keys[0].clone(), answer("fine")),
        (keys[2].clone(), json!(7)),
        (keys[3].clone(), json!({ "role": "assistant", "content": 7 })),
        (keys[4].clone(), json!({ "code": -1, "message": "not this one" })),
        ("call-999999".to_owned(), answer("of a call that nobody made")),
    ];
    assert_eq!(mailbox.answer(answers.into()), 1);
    let refused = heard(asking.pop().unwrap()).await;
    assert_eq!(refused, Err(SamplingError::Refused("not this one".to_owned())));
    let shapeless = heard(asking.pop().unwrap()).await;
    let number = heard(asking.pop().unwrap()).await;
    assert!(matches!(shapeless, Err(SamplingError::Malformed(_))), "{shapeless:?}");
    assert!(matches!(number, Err(SamplingError::Malformed(_))), "{number:?}");
    assert_eq!(heard(asking.pop().unwrap()).await, Err(SamplingError::Unanswered));
    assert_eq!(heard(asking.pop().unwrap()).await, Ok("fine".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_lender_that_does_not_come_back_gives_its_calls_back_asked_or_not() {
    let mailbox = mailbox();
    let asked = ask(&mailbox, "asked").await;
    mailbox.round().await;
    let until = Instant::now() + Duration::from_secs(25);
    mailbox.away(until);
    let waiting = ask(&mailbox, "waiting").await;
    assert!(mailbox.offer().available);
    let lost = Err(SamplingError::Transport("it left before it answered".to_owned()));
    assert_eq!(heard(asked).await, lost);
    assert_eq!(Instant::now(), until);
    assert_eq!(heard(waiting).await, lost);
    assert!(!mailbox.offer().available && mailbox.has_left(until));
    assert_eq!(heard(ask(&mailbox, "next").await).await, Err(SamplingError::NoPeer));
}

#[tokio::test(start_paused = true)]
async fn a_lender_that_comes_back_in_time_keeps_its_calls() {
    let mailbox = mailbox();
    mailbox.away(Instant::now() + Duration::from_secs(25));
    let asking = ask(&mailbox, "hello").await;
    tokio::time::sleep(Duration::from_secs(24)).await;
    mailbox.back();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let (key, _) = mailbox.round().await.remove(0);
    mailbox.answer([(key, answer("hello"))].into());
    assert_eq!(heard(asking).await, Ok("hello".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_says_that_it_is_busy() {
    let mailbox = mailbox();
    let asking = ask_each(&mailbox, (0..CALLS_MAX).map(|n| n.to_string())).await;
    assert_eq!(heard(ask(&mailbox, "one more").await).await, Err(SamplingError::Busy));
    drop(asking);
    tokio::task::yield_now().await;
    let _room = ask(&mailbox, "room").await;
    assert_eq!(mailbox.round().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_round_has_a_limit_of_bytes_and_what_is_larger_goes_alone() {
    let mailbox = mailbox();
    let sizes = [10, 2 * 1024 * 1024, 600 * 1024, 400 * 1024, 100 * 1024];
    let _asking = ask_each(&mailbox, sizes.map(|size| "x".repeat(size))).await;
    let mut rounds = Vec::new();
    for _ in 0..3 {
        rounds.push(mailbox.round().await.iter().map(|(_, params)| text(params).len()).collect::<Vec<_>>());
        mailbox.answer(InputResponses::new());
    }
    assert_eq!(rounds, [vec![sizes[0]], vec![sizes[1]], vec![sizes[2], sizes[3]]]);
}

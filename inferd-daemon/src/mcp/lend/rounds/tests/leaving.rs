//! Lenders, callers and daemons that leave.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_lender_that_never_comes_back_gives_its_calls_to_the_next() {
    let lending = Lending::new();
    let gone = lending.lends(ONE, &json!({})).await;
    let asking = lending.ask("one", "hello").await;
    let asked = gone.await.unwrap();
    let began = Instant::now();
    tokio::time::sleep(ANSWER_WITHIN - Duration::from_secs(2)).await;
    let next = lending.lends(ONE, &json!({})).await;
    let again = next.await.unwrap();
    assert_eq!(round(&again)[0].1, "hello");
    let waited = began.elapsed();
    assert!((ANSWER_WITHIN..ANSWER_WITHIN + Duration::from_millis(25)).contains(&waited), "{waited:?}");
    let _lender = lending.lends(ONE, &echo(&again)).await;
    assert_eq!(heard(asking).await, Ok("re hello".to_owned()));
    assert_eq!(present(&lending.pool), 1);
    let late = lending.lend(ONE, &echo(&asked)).await;
    assert_eq!(late["error"]["data"], json!({ "requestState": "expired" }), "{late}");
}

#[tokio::test(start_paused = true)]
async fn with_nobody_left_the_calls_of_a_lender_that_is_gone_fail_by_name() {
    let lending = Lending::new();
    let gone = lending.lends(ONE, &json!({})).await;
    let asking = lending.ask("one", "hello").await;
    gone.await.unwrap();
    let gathers = lending.ask("one", "behind it").await;
    for asking in [asking, gathers] {
        let why = heard(asking).await.unwrap_err();
        assert_eq!(why.to_string(), "the sampling peer was lost: it left before it answered");
    }
    assert_eq!(present(&lending.pool), 0);
    assert_eq!(heard(lending.ask("one", "more").await).await, Err(SamplingError::NoPeer));
}

#[tokio::test(start_paused = true)]
async fn a_lender_that_closes_its_stream_has_left_at_once_and_its_calls_go_to_the_next() {
    let lending = Lending::new();
    let mut closing = lending.rig.connect();
    closing.send(&request(ONE, &json!({}))).await;
    lending.pool.watch().wait_for(|&peers| peers == 1).await.unwrap();
    let began = Instant::now();
    let asking = lending.ask("one", "hello").await;
    let next = lending.lends(ONE, &json!({})).await;
    drop(closing);
    lending.pool.watch().wait_for(|&peers| peers == 1).await.unwrap();
    let asked = next.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let _lender = lending.lends(ONE, &echo(&asked)).await;
    assert_eq!(heard(asking).await, Ok("re hello".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_lender_that_does_not_lend_again_has_left_though_nobody_asks() {
    let lending = Lending::new();
    lending.lend(ONE, &json!({})).await;
    let began = Instant::now();
    let mut peers = lending.pool.watch();
    peers.wait_for(|&peers| peers == 0).await.unwrap();
    assert_eq!(began.elapsed(), AGAIN_WITHIN);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_caller_left_is_not_shown_and_one_that_was_shown_is_not_missed() {
    let lending = Lending::new();
    let lender = lending.lends(ONE, &json!({})).await;
    let shown = lending.ask("one", "shown").await;
    drop(lending.ask("one", "left").await);
    let asked = lender.await.unwrap();
    assert_eq!(round(&asked).len(), 1);
    drop(shown);
    let done = lending.lend(ONE, &echo(&asked)).await;
    assert_eq!(done["result"]["structuredContent"]["answered"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_drains_waits_for_no_work_and_still_takes_answers() {
    let lending = Lending::new();
    let lender = lending.lends(ONE, &json!({})).await;
    let asking = lending.ask("one", "hello").await;
    let asked = lender.await.unwrap();
    let idle = lending.lends(TWO, &json!({})).await;
    let began = Instant::now();
    lending.stop.drain();
    assert_eq!(idle.await.unwrap()["result"]["structuredContent"]["answered"], 0);
    let done = lending.lend(ONE, &echo(&asked)).await;
    assert_eq!(done["result"]["structuredContent"]["answered"], 1);
    assert_eq!(heard(asking).await, Ok("re hello".to_owned()));
    let refused = lending.lend(ONE, &json!({})).await;
    assert_eq!(refused["result"]["content"][0]["text"], "backend_unavailable: draining");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn lenders_are_as_many_as_there_may_be_and_those_who_left_make_room() {
    let lending = Lending::new();
    let mut lenders = Vec::new();
    for _ in 0..lenders::LENDERS_MAX {
        lenders.push(lending.lends(ONE, &json!({})).await);
    }
    let full = lending.lend(ONE, &json!({})).await;
    assert_eq!(full["result"]["structuredContent"]["code"], "queue_full", "{full}");
    let mut peers = lending.pool.watch();
    drop(lenders.pop());
    peers.wait_for(|&peers| peers < lenders::LENDERS_MAX).await.unwrap();
    let _room = lending.lends(ONE, &json!({})).await;
}

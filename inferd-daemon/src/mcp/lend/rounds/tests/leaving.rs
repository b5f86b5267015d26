//! Lenders, callers and daemons that leave.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_lender_that_never_comes_back_gives_its_calls_to_the_next() {
    let booth = Booth::new();
    let gone = booth.lends(ONE, &json!({})).await;
    let asking = booth.ask("one", "hello").await;
    let asked = gone.await.unwrap();
    let began = Instant::now();
    tokio::time::sleep(ANSWER_WITHIN * 9 / 10).await;
    let next = booth.lends(ONE, &json!({})).await;
    let again = next.await.unwrap();
    assert_eq!(round(&again)[0].1, "hello");
    let waited = began.elapsed();
    assert!((ANSWER_WITHIN..ANSWER_WITHIN + Duration::from_millis(25)).contains(&waited), "{waited:?}");
    let _lender = booth.lends(ONE, &echo(&again)).await;
    assert_eq!(heard(asking).await, Ok("re hello".to_owned()));
    assert_eq!(present(&booth.pool), 1);
    let late = booth.lend(ONE, &echo(&asked)).await;
    assert_eq!(late["error"]["data"], json!({ "requestState": "expired" }), "{late}");
}

#[tokio::test(start_paused = true)]
async fn with_nobody_left_the_calls_of_a_lender_that_is_gone_fail_by_name() {
    let booth = Booth::new();
    let gone = booth.lends(ONE, &json!({})).await;
    let asking = booth.ask("one", "hello").await;
    gone.await.unwrap();
    let gathers = booth.ask("one", "behind it").await;
    for asking in [asking, gathers] {
        let why = heard(asking).await.unwrap_err();
        assert_eq!(why.to_string(), "the sampling peer was lost: it left before it answered");
    }
    assert_eq!(present(&booth.pool), 0);
    assert_eq!(heard(booth.ask("one", "more").await).await, Err(SamplingError::NoPeer));
}

#[tokio::test(start_paused = true)]
async fn a_lender_that_closes_its_stream_has_left_at_once_and_its_calls_go_to_the_next() {
    let booth = Booth::new();
    let mut closing = booth.rig.connect();
    closing.send(&request(ONE, &json!({}))).await;
    booth.pool.watch().wait_for(|&peers| peers == 1).await.unwrap();
    let began = Instant::now();
    let asking = booth.ask("one", "hello").await;
    let next = booth.lends(ONE, &json!({})).await;
    drop(closing);
    booth.pool.watch().wait_for(|&peers| peers == 1).await.unwrap();
    let asked = next.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let _lender = booth.lends(ONE, &echo(&asked)).await;
    assert_eq!(heard(asking).await, Ok("re hello".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_lender_that_does_not_lend_again_has_left_though_nobody_asks() {
    let booth = Booth::new();
    booth.lend(ONE, &json!({})).await;
    let began = Instant::now();
    let mut peers = booth.pool.watch();
    let left = timeout(Duration::from_secs(60), peers.wait_for(|&peers| peers == 0)).await;
    left.expect("it has left").unwrap();
    assert_eq!(began.elapsed(), AGAIN_WITHIN);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_caller_left_is_not_shown_and_one_that_was_shown_is_not_missed() {
    let booth = Booth::new();
    let lender = booth.lends(ONE, &json!({})).await;
    let shown = booth.ask("one", "shown").await;
    drop(booth.ask("one", "left").await);
    let asked = lender.await.unwrap();
    assert_eq!(round(&asked).len(), 1);
    drop(shown);
    let done = booth.lend(ONE, &echo(&asked)).await;
    assert_eq!(done["result"]["structuredContent"]["answered"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_drains_waits_for_no_work_and_still_takes_answers() {
    let booth = Booth::new();
    let lender = booth.lends(ONE, &json!({})).await;
    let asking = booth.ask("one", "hello").await;
    let asked = lender.await.unwrap();
    let idle = booth.lends(TWO, &json!({})).await;
    let began = Instant::now();
    booth.stop.drain();
    assert_eq!(idle.await.unwrap()["result"]["structuredContent"]["answered"], 0);
    let done = booth.lend(ONE, &echo(&asked)).await;
    assert_eq!(done["result"]["structuredContent"]["answered"], 1);
    assert_eq!(heard(asking).await, Ok("re hello".to_owned()));
    let refused = booth.lend(ONE, &json!({})).await;
    assert_eq!(refused["result"]["content"][0]["text"], "backend_unavailable: draining");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn lenders_are_as_many_as_there_may_be_and_those_who_left_make_room() {
    let booth = Booth::new();
    let mut lenders = Vec::new();
    for _ in 0..visitors::VISITORS_MAX {
        lenders.push(booth.lends(ONE, &json!({})).await);
    }
    let full = booth.lend(ONE, &json!({})).await;
    assert_eq!(full["result"]["structuredContent"]["code"], "queue_full", "{full}");
    let mut peers = booth.pool.watch();
    drop(lenders.pop());
    peers.wait_for(|&peers| peers < visitors::VISITORS_MAX).await.unwrap();
    let _room = booth.lends(ONE, &json!({})).await;
}

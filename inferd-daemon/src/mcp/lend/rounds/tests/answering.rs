//! Lenders who do what they should, more or less.

use super::*;

#[tokio::test(start_paused = true)]
async fn ten_requests_that_arrive_together_are_one_round_and_each_gets_its_own_answer() {
    let booth = Booth::new();
    let lender = booth.lends(ONE, &json!({})).await;
    let mut asking = Vec::new();
    for n in 0..10 {
        asking.push(booth.ask("one", &n.to_string()).await);
    }
    let began = Instant::now();
    let asked = lender.await.unwrap();
    assert!(began.elapsed() <= Duration::from_millis(25), "{:?}", began.elapsed());
    let texts: Vec<String> = round(&asked).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
    let done = booth.lend(ONE, &echo(&asked)).await;
    for (n, asking) in asking.into_iter().enumerate() {
        assert_eq!(heard(asking).await, Ok(format!("re {n}")));
    }
    assert_eq!(done["result"]["structuredContent"], json!({ "answered": 10, "again_within_ms": 10_000 }));
    assert_eq!(done["result"]["resultType"], "complete", "{done}");
}

#[tokio::test(start_paused = true)]
async fn what_gathers_while_a_round_is_answered_is_the_next_round() {
    let booth = Booth::new();
    let lender = booth.lends(ONE, &json!({})).await;
    let first = booth.ask("one", "first").await;
    let asked = lender.await.unwrap();
    let mut asking = Vec::new();
    for n in 0..12 {
        asking.push(booth.ask("one", &n.to_string()).await);
    }
    let began = Instant::now();
    let next = booth.lend(ONE, &echo(&asked)).await;
    assert_eq!(heard(first).await, Ok("re first".to_owned()));
    assert_eq!(round(&next).len(), 10, "no more than a person looks through");
    let last = booth.lend(ONE, &echo(&next)).await;
    assert_eq!(round(&last).len(), 2);
    assert!(began.elapsed() <= Duration::from_millis(25), "{:?}", began.elapsed());
    let _done = booth.lends(ONE, &echo(&last)).await;
    for (n, asking) in asking.into_iter().enumerate() {
        assert_eq!(heard(asking).await, Ok(format!("re {n}")));
    }
}

#[tokio::test(start_paused = true)]
async fn missing_and_nonsense_answers_fail_alone_and_what_nobody_asked_for_is_ignored() {
    let booth = Booth::new();
    let lender = booth.lends(ONE, &json!({})).await;
    let mut asking = Vec::new();
    for text in ["good", "missing", "nonsense", "refused"] {
        asking.push(booth.ask("one", text).await);
    }
    let asked = lender.await.unwrap();
    let keys: Vec<String> = round(&asked).into_iter().map(|(key, _)| key).collect();
    let answers = json!({
        &keys[0]: said("fine"), &keys[2]: ["nonsense"], &keys[3]: { "code": -1, "message": "no" },
        "call-000099": said("of nobody"),
    });
    let back = json!({ "inputResponses": answers, "requestState": state(&asked) });
    let _lender = booth.lends(ONE, &back).await;
    assert_eq!(heard(asking.pop().unwrap()).await, Err(SamplingError::Refused("no".to_owned())));
    assert!(matches!(heard(asking.pop().unwrap()).await, Err(SamplingError::Malformed(_))));
    assert_eq!(heard(asking.pop().unwrap()).await, Err(SamplingError::Unanswered));
    assert_eq!(heard(asking.pop().unwrap()).await, Ok("fine".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_lender_without_answers_leaves_its_calls_unanswered() {
    let booth = Booth::new();
    let lender = booth.lends(ONE, &json!({})).await;
    let asking = booth.ask("one", "hello").await;
    let asked = lender.await.unwrap();
    let _lender = booth.lends(ONE, &json!({ "requestState": state(&asked) })).await;
    assert_eq!(heard(asking).await, Err(SamplingError::Unanswered));
}

#[tokio::test(start_paused = true)]
async fn a_poll_without_work_ends_and_what_comes_before_the_next_waits_for_it() {
    let booth = Booth::new();
    let began = Instant::now();
    let done = booth.lend(ONE, &json!({})).await;
    assert_eq!(began.elapsed(), POLL);
    assert_eq!(done["result"]["structuredContent"]["answered"], 0, "{done}");
    let asking = booth.ask("one", "between").await;
    tokio::time::sleep(AGAIN_WITHIN * 9 / 10).await;
    let began = Instant::now();
    let asked = booth.lend(ONE, &json!({})).await;
    assert_eq!((began.elapsed(), present(&booth.pool)), (Duration::ZERO, 1), "it is the same lender");
    let _lender = booth.lends(ONE, &echo(&asked)).await;
    assert_eq!(heard(asking).await, Ok("re between".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn clients_that_count_rounds_are_given_no_more_than_they_go_through() {
    let booth = Booth::new();
    let mut lender = booth.lends(ONE, &json!({})).await;
    for n in 0..ROUNDS_IN_A_ROW_MAX {
        let asking = booth.ask("one", "again").await;
        let asked = lender.await.unwrap();
        lender = booth.lends(ONE, &echo(&asked)).await;
        assert_eq!(heard(asking).await, Ok("re again".to_owned()), "{n}");
    }
    let waits = booth.ask("one", "waits").await;
    let done = lender.await.unwrap();
    assert_eq!(done["result"]["structuredContent"]["answered"], ROUNDS_IN_A_ROW_MAX);
    let asked = booth.lend(ONE, &json!({})).await;
    let _lender = booth.lends(ONE, &echo(&asked)).await;
    assert_eq!(heard(waits).await, Ok("re waits".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_say_it_generates_is_not_asked_to() {
    let booth = Booth::new();
    let meta = json!({ "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    }});
    let refused = booth.lend(ONE, &meta).await;
    assert_eq!(refused["error"]["code"], -32021, "{refused}");
    assert_eq!(refused["error"]["data"]["requiredCapabilities"], json!({ "sampling": {} }));
    assert_eq!(present(&booth.pool), 0);
}

//! What lenders come back with.

use super::*;

/// Why the daemon does not take what a lender comes back with.
async fn refused(booth: &Booth, key: &str, more: &Value) -> String {
    let answer = booth.lend(key, more).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    answer["error"]["data"]["requestState"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_state_that_was_changed_or_given_to_another_is_refused_and_the_right_one_still_works() {
    let booth = Booth::new();
    let lender = booth.lends(ONE, &json!({})).await;
    let asking = booth.ask("one", "hello").await;
    let asked = lender.await.unwrap();
    let back = echo(&asked);
    for wrong in ["", "x", &state(&asked)[1..], &"0".repeat(128)] {
        let mut back = back.clone();
        back["requestState"] = json!(wrong);
        assert_eq!(refused(&booth, ONE, &back).await, "foreign", "{wrong}");
    }
    assert_eq!(refused(&booth, TWO, &back).await, "foreign");
    let mut wider = back.clone();
    wider["arguments"] = json!({ "scope": "all" });
    assert_eq!(refused(&booth, ONE, &wider).await, "foreign", "it was given with another request");
    assert_eq!(refused(&Booth::new(), ONE, &back).await, "foreign", "by another daemon");
    let _lender = booth.lends(ONE, &back).await;
    assert_eq!(heard(asking).await, Ok("re hello".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_state_is_good_once_while_it_is_served_and_afterwards() {
    let booth = Booth::new();
    let lender = booth.lends(ONE, &json!({})).await;
    let first = booth.ask("one", "first").await;
    let asked = lender.await.unwrap();
    let back = echo(&asked);
    let lender = booth.lends(ONE, &back).await;
    assert_eq!(heard(first).await, Ok("re first".to_owned()));
    assert_eq!(refused(&booth, ONE, &back).await, "used");
    let second = booth.ask("one", "second").await;
    let asked = lender.await.unwrap();
    assert_eq!(refused(&booth, ONE, &back).await, "used");
    let lender = booth.lends(ONE, &echo(&asked)).await;
    assert_eq!(heard(second).await, Ok("re second".to_owned()));
    lender.await.unwrap();
    assert_eq!(refused(&booth, ONE, &echo(&asked)).await, "expired");
}

#[tokio::test(start_paused = true)]
async fn a_state_does_not_bring_back_a_lender_that_has_had_its_result() {
    let booth = Booth::new();
    let lender = booth.lends(ONE, &json!({})).await;
    let asking = booth.ask("one", "hello").await;
    let asked = lender.await.unwrap();
    booth.stop.drain();
    booth.lend(ONE, &echo(&asked)).await;
    assert_eq!(heard(asking).await, Ok("re hello".to_owned()));
    assert_eq!(refused(&booth, ONE, &echo(&asked)).await, "used");
}

#[tokio::test(start_paused = true)]
async fn a_state_expires() {
    let booth = Booth::new();
    let lender = booth.lends(ONE, &json!({})).await;
    let asking = booth.ask("one", "hello").await;
    let asked = lender.await.unwrap();
    tokio::time::sleep(ANSWER_WITHIN).await;
    let answer = booth.lend(ONE, &echo(&asked)).await;
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("requestState: it has expired; "), "{message}");
    assert!(heard(asking).await.is_err());
}

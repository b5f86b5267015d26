//! What lenders come back with.

use super::*;

/// Why the daemon does not take what a lender comes back with.
async fn refused(lending: &Lending, key: &str, more: &Value) -> String {
    let answer = lending.lend(key, more).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    answer["error"]["data"]["requestState"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_state_that_was_changed_or_given_to_another_is_refused_and_the_right_one_still_works() {
    let lending = Lending::new();
    let lender = lending.lends(ONE, &json!({})).await;
    let asking = lending.ask("one", "hello").await;
    let asked = lender.await.unwrap();
    let back = echo(&asked);
    for wrong in ["", "x", &state(&asked)[1..], &"0".repeat(128)] {
        let mut back = back.clone();
        back["requestState"] = json!(wrong);
        assert_eq!(refused(&lending, ONE, &back).await, "foreign", "{wrong}");
    }
    assert_eq!(refused(&lending, TWO, &back).await, "foreign");
    let mut wider = back.clone();
    wider["arguments"] = json!({ "scope": "all" });
    assert_eq!(refused(&lending, ONE, &wider).await, "foreign", "it was given with another request");
    assert_eq!(refused(&Lending::new(), ONE, &back).await, "foreign", "by another daemon");
    let _lender = lending.lends(ONE, &back).await;
    assert_eq!(heard(asking).await, Ok("re hello".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_state_is_good_once_while_it_is_served_and_afterwards() {
    let lending = Lending::new();
    let lender = lending.lends(ONE, &json!({})).await;
    let first = lending.ask("one", "first").await;
    let asked = lender.await.unwrap();
    let back = echo(&asked);
    let lender = lending.lends(ONE, &back).await;
    assert_eq!(heard(first).await, Ok("re first".to_owned()));
    assert_eq!(refused(&lending, ONE, &back).await, "used");
    let second = lending.ask("one", "second").await;
    let asked = lender.await.unwrap();
    assert_eq!(refused(&lending, ONE, &back).await, "used");
    let lender = lending.lends(ONE, &echo(&asked)).await;
    assert_eq!(heard(second).await, Ok("re second".to_owned()));
    lender.await.unwrap();
    assert_eq!(refused(&lending, ONE, &echo(&asked)).await, "expired");
}

#[tokio::test(start_paused = true)]
async fn a_state_does_not_bring_back_a_lender_that_has_had_its_result() {
    let lending = Lending::new();
    let lender = lending.lends(ONE, &json!({})).await;
    let asking = lending.ask("one", "hello").await;
    let asked = lender.await.unwrap();
    lending.stop.drain();
    lending.lend(ONE, &echo(&asked)).await;
    assert_eq!(heard(asking).await, Ok("re hello".to_owned()));
    assert_eq!(refused(&lending, ONE, &echo(&asked)).await, "used");
}

#[tokio::test(start_paused = true)]
async fn a_state_expires() {
    let lending = Lending::new();
    let lender = lending.lends(ONE, &json!({})).await;
    let asking = lending.ask("one", "hello").await;
    let asked = lender.await.unwrap();
    tokio::time::sleep(ANSWER_WITHIN).await;
    let answer = lending.lend(ONE, &echo(&asked)).await;
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("requestState: it has expired; "), "{message}");
    assert!(heard(asking).await.is_err());
}

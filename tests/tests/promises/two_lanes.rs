//! A failing lane costs no request; a caller's own mistakes shut none; after its cooldown a lane is tried once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use inferd_tests::{Answer, Daemon, Gate, Upstream, request};
use serde_json::json;

use crate::{code, text};

#[tokio::test]
async fn with_the_first_of_two_lanes_always_failing_every_request_succeeds() -> Result<()> {
    let failing = Upstream::always(Answer::refusal(500, "out of order")).await?;
    let sound = Upstream::always(Answer::tokens(&["fine"])).await?;
    let (first, second) = (failing.backend("first"), sound.backend("second"));
    let daemon = Daemon::start(&format!("{first}priority = 0\n{second}priority = 1\n")).await?;
    let mut client = daemon.connect().await?;
    for n in 0..20 {
        let done = client.terminal(&request(&format!("{n}"))).await?;
        assert_eq!(
            (text(&done, "type")?, &done["content"], &done["backend"]),
            ("done", &json!("fine"), &json!("second"))
        );
    }
    for n in 0..20 {
        client.send(&request(&format!("together {n}"))).await?;
    }
    for _ in 0..20 {
        assert_eq!(client.frame_of("done").await?["backend"], "second");
    }
    assert_eq!(failing.seen().requests.len(), 3, "three failures shut a lane");
    assert_eq!(daemon.quiet().await?["lanes"][0]["state"], "shut");
    Ok(())
}

#[tokio::test]
async fn ten_refusals_of_a_callers_own_making_shut_no_lane() -> Result<()> {
    let picky = Upstream::start(|number, _| match number {
        0..10 => Answer::refusal(400, "your temperature is not to my taste"),
        _ => Answer::tokens(&["better"]),
    })
    .await?;
    let daemon = Daemon::start(&picky.backend("m")).await?;
    let mut client = daemon.connect().await?;
    for n in 0..10 {
        let error = client.terminal(&request(&format!("{n}"))).await?;
        assert_eq!(code(&error)?, "invalid_request");
        assert_eq!(text(&error, "message")?, "your temperature is not to my taste");
    }
    assert_eq!(daemon.snapshot().await?["lanes"][0]["state"], "passing");
    assert_eq!(client.terminal(&request("last")).await?["content"], "better");
    assert_eq!(picky.seen().requests.len(), 11);
    Ok(())
}

#[tokio::test]
async fn after_its_cooldown_a_lane_is_tried_by_exactly_one_request() -> Result<()> {
    let gate = Gate::shut();
    let probe = Answer::held(&[], &gate, &["back"]);
    let upstream = Upstream::start(move |number, _| match number {
        0..3 => Answer::refusal(500, "down"),
        3 => probe.clone(),
        _ => Answer::tokens(&["steady"]),
    })
    .await?;
    let limits = "[admission]\nactive = 64\n[breaker]\ncooldown_s = 0.3\n";
    let daemon = Daemon::start(&format!("{limits}{}", upstream.backend("m"))).await?;
    let mut client = daemon.connect().await?;
    for n in 0..3 {
        assert_eq!(code(&client.terminal(&request(&format!("{n}"))).await?)?, "backend_unavailable");
    }
    let early = client.terminal(&request("early")).await?;
    assert_eq!(code(&early)?, "backend_unavailable");
    assert!(early["retry_after_ms"].as_u64() > Some(0), "{early}");
    assert_eq!(upstream.seen().requests.len(), 3, "a shut lane is left alone");

    daemon.until(|now| now["lanes"][0]["rests_ms"].is_null()).await?;
    for n in 0..20 {
        client.send(&request(&format!("together {n}"))).await?;
    }
    for _ in 0..19 {
        let error = client.frame_of("error").await?;
        assert_eq!(code(&error)?, "backend_unavailable");
        assert!(error["retry_after_ms"].as_u64() > Some(0), "no lane is back in no time: {error}");
    }
    let seen = upstream.until(|seen| seen.open == 1).await?;
    assert_eq!(seen.requests.len(), 4, "exactly one is the probe");
    assert_eq!(daemon.snapshot().await?["lanes"][0]["state"], "probing");

    gate.open();
    assert_eq!(client.frame_of("done").await?["content"], "back");
    for n in 0..20 {
        assert_eq!(client.terminal(&request(&format!("after {n}"))).await?["content"], "steady");
    }
    assert_eq!(daemon.quiet().await?["lanes"][0]["state"], "passing");
    Ok(())
}

#[tokio::test]
async fn a_probe_whose_caller_leaves_lets_the_next_request_be_the_probe() -> Result<()> {
    let well = Arc::new(AtomicBool::new(false));
    let upstream = Upstream::start({
        let well = Arc::clone(&well);
        move |number, _| match number {
            0..3 => Answer::refusal(500, "down"),
            _ if well.load(Ordering::SeqCst) => Answer::tokens(&["back"]),
            _ => Answer::Silence,
        }
    })
    .await?;
    let daemon = Daemon::start(&format!("[breaker]\ncooldown_s = 0.1\n{}", upstream.backend("m"))).await?;
    let mut client = daemon.connect().await?;
    for n in 0..3 {
        client.terminal(&request(&format!("{n}"))).await?;
    }
    daemon.until(|now| now["lanes"][0]["rests_ms"].is_null()).await?;
    let mut leaver = daemon.connect().await?;
    leaver.send(&request("leaver")).await?;
    upstream.until(|seen| seen.open == 1).await?;
    drop(leaver);
    daemon.quiet().await?;

    well.store(true, Ordering::SeqCst);
    assert_eq!(client.terminal(&request("next")).await?["content"], "back");
    assert_eq!(daemon.snapshot().await?["lanes"][0]["state"], "passing");
    Ok(())
}

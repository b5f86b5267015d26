//! A lane that is slow to begin costs its callers no more than it was given, its neighbours nothing, and where it may be
//! hedged hardly that.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::try_join_all;
use inferd_tests::{Answer, Daemon, Gate, PATIENCE, Upstream, request};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::report;

fn named(id: &str, model: &str) -> Value {
    json!({"id": id, "model": model, "messages": [{"role": "user", "content": id}]})
}

/// A `[[backends]]` table of a lane that serves its own model, and another that all of them serve.
fn lane(upstream: &Upstream, name: &str, priority: usize, more: &str) -> String {
    let table = upstream.backend(name);
    format!("{table}priority = {priority}\naliases = {{ any = \"{name}\" }}\n{more}\n")
}

async fn terminal(daemon: &Daemon, line: Value) -> Result<(Value, Duration)> {
    let mut client = daemon.connect().await?;
    let asked = Instant::now();
    Ok((client.terminal(&line).await?, asked.elapsed()))
}

#[tokio::test]
async fn a_lane_that_hangs_costs_its_callers_its_first_token_timeout_and_others_nothing() -> Result<()> {
    const LIMIT: Duration = Duration::from_secs(1);
    let hanging = Upstream::always(Answer::Silence).await?;
    let sound = Upstream::always(Answer::tokens(&["fine"])).await?;
    let limit = format!("first_token_timeout_s = {}", LIMIT.as_secs());
    let lanes = [lane(&hanging, "hanging", 0, &limit), lane(&sound, "sound", 1, "")];
    let daemon = Daemon::start(&format!("[admission]\nactive = 8\n{}", lanes.concat())).await?;

    let callers = try_join_all((0..3).map(|n| terminal(&daemon, named(&format!("{n}"), "any"))));
    let others = async {
        hanging.until(|seen| seen.open == 3).await?;
        let mut client = daemon.connect().await?;
        for n in 0..50 {
            let done = client.terminal(&named(&format!("other {n}"), "sound")).await?;
            assert_eq!(done["content"], "fine", "{done}");
        }
        assert_eq!(hanging.seen().open, 3, "they had to wait for those who were held up");
        anyhow::Ok(())
    };
    let (callers, others) = tokio::join!(callers, others);
    others?;
    let (answers, took): (Vec<_>, Vec<_>) = callers?.into_iter().unzip();
    for done in answers {
        assert_eq!((&done["content"], &done["backend"]), (&json!("fine"), &json!("sound")), "{done}");
    }
    report("callers of a lane that hangs for 1 s", &took);
    assert!(took.iter().all(|&took| LIMIT <= took && took < 2 * LIMIT), "{took:?}");

    assert_eq!(daemon.quiet().await?["lanes"][0]["state"], "shut");
    for n in 0..20 {
        let (done, _) = terminal(&daemon, named(&format!("later {n}"), "any")).await?;
        assert_eq!(done["backend"], "sound");
    }
    assert_eq!(hanging.seen().requests.len(), 3, "who comes later is not held up at all");
    Ok(())
}

#[tokio::test]
async fn a_lane_that_is_slow_to_begin_is_outrun_by_one_other() -> Result<()> {
    let slow = Upstream::always(Answer::Silence).await?;
    let gate = Gate::shut();
    let rival = Upstream::always(Answer::held(&[], &gate, &["here"])).await?;
    let third = Upstream::always(Answer::tokens(&["there"])).await?;
    let hedged = "hedge_after_ms = 50";
    let lanes =
        [lane(&slow, "slow", 0, hedged), lane(&rival, "rival", 1, hedged), lane(&third, "third", 2, hedged)];
    let daemon = Daemon::start(&lanes.concat()).await?;
    let mut client = daemon.connect().await?;
    client.send(&request("r")).await?;
    rival.until(|seen| seen.open == 1).await?;
    // Longer than any of them is waited for.
    let more = timeout(Duration::from_millis(200), third.until(|seen| !seen.requests.is_empty())).await;
    assert!(more.is_err(), "two lanes at a time are enough");

    gate.open();
    let frames = client.answer().await?;
    let done = frames.last().unwrap_or(&Value::Null);
    assert_eq!((&done["content"], &done["backend"]), (&json!("here"), &json!("rival")), "{frames:?}");
    assert_eq!(frames.len(), 2, "{frames:?}");
    slow.until(|seen| seen.abandoned.len() == 1).await?;
    let states = daemon.quiet().await?;
    assert_eq!(states["lanes"][0]["state"], "passing", "to be slow is no fault");
    Ok(())
}

#[tokio::test]
async fn a_lane_that_begins_after_all_beats_its_rival() -> Result<()> {
    let gate = Gate::shut();
    let slow = Upstream::always(Answer::held(&[], &gate, &["here"])).await?;
    let rival = Upstream::always(Answer::Silence).await?;
    let daemon =
        Daemon::start(&(lane(&slow, "slow", 0, "hedge_after_ms = 50") + &lane(&rival, "rival", 1, "")))
            .await?;
    let mut client = daemon.connect().await?;
    client.send(&request("r")).await?;
    rival.until(|seen| seen.open == 1).await?;
    gate.open();
    let done = client.frame_of("done").await?;
    assert_eq!((&done["content"], &done["backend"]), (&json!("here"), &json!("slow")), "{done}");
    rival.until(|seen| seen.abandoned.len() == 1).await?;
    daemon.quiet().await?;
    Ok(())
}

#[tokio::test]
async fn a_lane_that_begins_in_time_has_no_rival() -> Result<()> {
    let slow = Upstream::always(Answer::slow_tokens(&["a", "b"], Duration::from_millis(20))).await?;
    let rival = Upstream::always(Answer::tokens(&["c"])).await?;
    let hedged = format!("hedge_after_ms = {}", PATIENCE.as_millis());
    let daemon =
        Daemon::start(&(lane(&slow, "slow", 0, &hedged) + &lane(&rival, "rival", 1, &hedged))).await?;
    let answers = try_join_all((0..20).map(|n| terminal(&daemon, named(&format!("{n}"), "any")))).await?;
    assert!(answers.iter().all(|(done, _)| done["content"] == "ab"), "{answers:?}");
    assert!(rival.seen().requests.is_empty());
    Ok(())
}

//! Whatever an upstream does, its caller is told in one frame, and the next caller is served.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use inferd_tests::{Answer, Daemon, Gate, Upstream, free_address, http_date, request};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{code, text};

/// An upstream for each fault, under the name that callers then ask for.
async fn faults() -> Result<Vec<(&'static str, Upstream)>> {
    let html = "<html><body><h1>It works!</h1></body></html>";
    let events = "200 OK\r\ncontent-type: text/event-stream";
    let faults = [
        ("silent", Answer::Silence),
        ("cut-short", Answer::cut_short(&["so ", "far"])),
        ("cut-at-once", Answer::cut_short(&[])),
        ("hangs-up", Answer::Raw(String::new())),
        ("no-http", Answer::Raw("220 mail ESMTP ready\r\n".to_owned())),
        ("html", Answer::http("200 OK\r\ncontent-type: text/html", html)),
        ("html-500", Answer::http("500 Internal Server Error\r\ncontent-type: text/html", html)),
        ("no-json", Answer::http("200 OK\r\ncontent-type: application/json", "certainly!")),
        ("other-json", Answer::http("200 OK\r\ncontent-type: application/json", r#"{"greeting":"hello"}"#)),
        ("broken-event", Answer::http(events, "data: {\"choices\":[{\"delta\n\n")),
        ("error-event", Answer::http(events, "data: {\"error\":{\"message\":\"the GPU fell off\"}}\n\n")),
        ("401", Answer::refusal(401, "your key sk-abcdefghijklmnopqrstuvwx is bad")),
        ("403", Answer::refusal(403, "not you")),
        ("404", Answer::refusal(404, "no such model")),
        ("400", Answer::refusal(400, "the key sk-abcdefghijklmnopqrstuvwx is not for this")),
        ("422", Answer::Status(422, r#"{"detail":"temperature: too hot"}"#.to_owned())),
        (
            "429",
            Answer::http("429 Too Many Requests\r\nretry-after: 7", r#"{"error":{"message":"slow down"}}"#),
        ),
        ("429-bare", Answer::refusal(429, "slow down")),
        ("500", Answer::refusal(500, "out of memory")),
        ("503", Answer::http("503 Service Unavailable\r\nretry-after: 3", "loading")),
        ("redirect", Answer::http("302 Found\r\nlocation: https://elsewhere.invalid/v1", "")),
    ];
    let mut upstreams = Vec::new();
    for (name, answer) in faults {
        upstreams.push((name, Upstream::always(answer).await?));
    }
    Ok(upstreams)
}

/// A backend that may not be there.
fn backend_at(address: SocketAddr, name: &str) -> String {
    format!(
        "[[backends]]\nname = \"{name}\"\nkind = \"openai\"\nbase_url = \"http://{address}\"\nmodels = [\"{name}\"]\n"
    )
}

fn named(model: &str) -> Value {
    json!({"id": model, "model": model, "messages": [{"role": "user", "content": "x"}]})
}

fn shown(error: &Value) -> Result<String> {
    let retry =
        error["retry_after_ms"].as_u64().map_or(String::new(), |ms| format!(" (retry after {ms} ms)"));
    Ok(format!("{} {}: {}{retry}\n", text(error, "id")?, code(error)?, text(error, "message")?))
}

#[tokio::test]
async fn every_fault_of_an_upstream_is_told_in_one_frame_and_the_listener_goes_on() -> Result<()> {
    let faults = faults().await?;
    let sound = Upstream::always(Answer::tokens(&["fine"])).await?;
    let down = free_address()?;
    let mut config = sound.backend("sound");
    for (name, upstream) in &faults {
        config += &upstream.backend(name);
        config += "first_token_timeout_s = 0.3\n";
    }
    let config = format!("{config}{}", backend_at(down, "down"));
    let daemon = Daemon::start(&config).await?;
    let mut client = daemon.connect().await?;
    let mut told = String::new();
    for name in faults.iter().map(|(name, _)| *name).chain(["down"]) {
        let frames = client.ask(&named(name)).await?;
        let (last, tokens) = frames.split_last().unwrap_or((&Value::Null, &[]));
        told += &shown(last)?.replace(&down.to_string(), "[address]");
        assert!(tokens.iter().all(|token| token["type"] == "token"), "{frames:?}");
        assert_eq!(client.terminal(&named("sound")).await?["content"], "fine", "after {name}");
    }
    assert_snapshot!(told, @r"
    silent backend_unavailable: no token within 300 ms
    cut-short backend_unavailable: the stream was cut short: the connection broke: closed by the server
    cut-at-once backend_unavailable: the stream was cut short: the connection broke: closed by the server
    hangs-up backend_unavailable: the connection broke: closed by the server
    no-http backend_unavailable: the connection broke: the server does not speak HTTP/1.1
    html backend_unavailable: answered with text/html, which is no completion
    html-500 backend_unavailable: 500 internal server error
    no-json backend_unavailable: the answer holds no completion
    other-json backend_unavailable: the answer holds no completion
    broken-event backend_unavailable: the answer is not understood: EOF while parsing a string at line 1 column 19
    error-event backend_unavailable: the GPU fell off
    401 backend_unavailable: refused our credentials
    403 backend_unavailable: refused our credentials
    404 model_not_found: model 404 is not served
    400 invalid_request: the key … is not for this
    422 invalid_request: temperature: too hot
    429 backend_unavailable: busy: slow down (retry after 7000 ms)
    429-bare backend_unavailable: busy: slow down
    500 backend_unavailable: 500 internal server error: out of memory
    503 backend_unavailable: busy: loading (retry after 3000 ms)
    redirect backend_unavailable: redirects (302 found) to https://elsewhere.invalid/v1, which is not followed
    down backend_unavailable: connect to [address]: connection refused
    ");
    assert!(!daemon.log().contains("sk-abcdef"), "a key is in the log");
    daemon.quiet().await?;
    Ok(())
}

#[tokio::test]
async fn a_404_for_a_request_that_named_no_model_is_the_backends_fault() -> Result<()> {
    let upstream = Upstream::always(Answer::refusal(404, "no such model")).await?;
    let daemon = Daemon::start(&upstream.backend("m")).await?;
    let mut client = daemon.connect().await?;
    assert_snapshot!(shown(&client.terminal(&request("plain")).await?)?, @"plain backend_unavailable: model m is not served");
    Ok(())
}

#[tokio::test]
async fn a_lane_that_asks_for_rest_gets_it_while_others_are_used() -> Result<()> {
    let busy = Upstream::always(Answer::http("429 Too Many Requests\r\nretry-after: 60", "")).await?;
    let other = Upstream::always(Answer::tokens(&["fine"])).await?;
    let (first, second) = (busy.backend("busy"), other.backend("other"));
    let daemon = Daemon::start(&format!("{first}priority = 0\n{second}priority = 1\n")).await?;
    let mut client = daemon.connect().await?;
    for n in 0..5 {
        assert_eq!(client.terminal(&request(&n.to_string())).await?["backend"], "other");
    }
    assert_eq!(busy.seen().requests.len(), 1);
    let rests = daemon.snapshot().await?["lanes"][0]["rests_ms"].as_u64().unwrap_or_default();
    assert!((50_000..=60_000).contains(&rests), "{rests}");
    Ok(())
}

#[tokio::test]
async fn a_lane_rests_for_as_long_as_it_asks_in_seconds_or_until_a_date() -> Result<()> {
    const ASKED: Duration = Duration::from_secs(1);
    // A date has no fractions: this one is more than a second away, and less than two.
    let date = || http_date(SystemTime::now() + 2 * ASKED);
    for retry_after in [|| "1".to_owned(), date] {
        let upstream = Upstream::start(move |number, _| match number {
            0 => Answer::http(&format!("429 Too Many Requests\r\nretry-after: {}", retry_after()), ""),
            _ => Answer::tokens(&["rested"]),
        })
        .await?;
        let daemon = Daemon::start(&upstream.backend("m")).await?;
        let mut client = daemon.connect().await?;
        for _ in 0..2 {
            let error = client.terminal(&request("early")).await?;
            assert_eq!(code(&error)?, "backend_unavailable");
            assert!(error["retry_after_ms"].as_u64() > Some(0), "{error}");
        }
        daemon.until(|now| now["lanes"][0]["rests_ms"].is_null()).await?;
        assert_eq!(client.terminal(&request("later")).await?["content"], "rested");
        let visits = upstream.seen().visits;
        let refused = visits[0].ended.context("the refusal ended")?.0;
        let rested = visits[1].began.duration_since(refused)?;
        assert!(visits.len() == 2 && rested >= ASKED, "{visits:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_lane_that_dies_in_mid_stream_gives_one_error_and_no_other_lane_is_tried() -> Result<()> {
    let said = || vec!["so ".to_owned(), "far".to_owned()];
    let deaths = [
        Answer::CutShort(said()),
        Answer::Unfinished(said()),
        Answer::Reset(said()),
        Answer::Held(said(), Gate::shut(), vec![]),
    ];
    for death in deaths {
        let told = format!("{death:?}");
        let (dying, other) =
            (Upstream::always(death).await?, Upstream::always(Answer::tokens(&["x"])).await?);
        let (first, second) = (dying.backend("dying"), other.backend("other"));
        let config = format!("{first}priority = 0\nidle_timeout_s = 0.2\n{second}priority = 1\n");
        let daemon = Daemon::start(&config).await?;
        let mut client = daemon.connect().await?;
        for stream in [true, false] {
            let mut line = request("r");
            line["stream"] = json!(stream);
            let mut frames = client.ask(&line).await?;
            let error = frames.pop().context("an answer has a last frame")?;
            assert_eq!((text(&error, "type")?, code(&error)?), ("error", "backend_unavailable"), "{told}");
            let tokens: Vec<_> = frames.iter().map(|frame| frame["content"].as_str()).collect();
            let expected = if stream { vec![Some("so "), Some("far")] } else { vec![] };
            assert_eq!(tokens, expected, "{told}");
        }
        client.finish_sending().await?;
        assert_eq!(client.rest().await?, [] as [Value; 0], "one error is enough: {told}");
        assert_eq!((dying.seen().requests.len(), other.seen().requests.len()), (2, 0), "{told}");
    }
    Ok(())
}

#[tokio::test]
async fn an_upstream_that_falls_silent_in_mid_stream_is_given_up_on() -> Result<()> {
    let upstream = Upstream::always(Answer::held(&["so far"], &Gate::shut(), &[])).await?;
    let daemon = Daemon::start(&format!("{}idle_timeout_s = 0.2\n", upstream.backend("m"))).await?;
    let mut client = daemon.connect().await?;
    let frames = client.ask(&request("i")).await?;
    assert_eq!(frames[0]["content"], "so far");
    assert_snapshot!(shown(&frames[1])?, @"i backend_unavailable: nothing more for 200 ms");
    upstream.until(|seen| seen.abandoned.len() == 1).await?;
    Ok(())
}

#[tokio::test]
async fn an_upstream_that_comes_back_is_used_again() -> Result<()> {
    let address = free_address()?;
    let config = format!("[breaker]\ncooldown_s = 0.1\n{}", backend_at(address, "m"));
    let daemon = Daemon::start(&config).await?;
    let mut client = daemon.connect().await?;
    for n in 0..4 {
        assert_eq!(code(&client.terminal(&request(&n.to_string())).await?)?, "backend_unavailable");
    }
    let _upstream = Upstream::at(address, Answer::tokens(&["back"])).await?;
    daemon.until(|now| now["lanes"][0]["rests_ms"].is_null()).await?;
    assert_eq!(client.terminal(&request("after")).await?["content"], "back");
    Ok(())
}

#[tokio::test]
async fn a_reader_that_does_not_read_slows_its_upstream_and_nobody_else() -> Result<()> {
    // More than all the buffers on the way would hold.
    let flood = "flood ".repeat(1000);
    let upstream = Upstream::always(Answer::slow_tokens(&vec![flood.as_str(); 4000], Duration::ZERO)).await?;
    let quick = Upstream::always(Answer::tokens(&["quick"])).await?;
    let daemon = Daemon::start(&format!("{}{}", quick.backend("quick"), upstream.backend("flood"))).await?;
    let mut asleep = daemon.connect().await?;
    asleep.send(&named("flood")).await?;
    upstream.until(|seen| seen.open == 1).await?;
    let mut awake = daemon.connect().await?;
    assert_eq!(awake.terminal(&named("quick")).await?["content"], "quick");
    let all = awake.terminal(&named("flood")).await?;
    assert_eq!(text(&all, "content")?.len(), flood.len() * 4000);
    assert_eq!(upstream.seen().open, 1, "all of it was taken in though nobody reads it");
    drop(asleep);
    upstream.until(|seen| seen.abandoned.len() == 1).await?;
    daemon.quiet().await?;
    Ok(())
}

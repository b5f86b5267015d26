//! How it fails: statuses, time-outs, servers that are not there or break off.

use std::time::SystemTime;

use futures_util::StreamExt;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use super::*;

fn error(status: u16) -> Reply {
    Reply::json(status, &json!({"error": {"message": format!("because, {KEY}"), "type": "x"}}))
}

#[tokio::test]
async fn every_status_says_whose_fault_it_is() {
    let because = || "because, …".to_owned();
    for status in [400, 402, 413, 422, 418] {
        assert_eq!(refused(error(status)).await, GenerateError::InvalidRequest(because()), "{status}");
    }
    for status in [401, 403] {
        assert_eq!(refused(error(status)).await, GenerateError::RefusedCredentials, "{status}");
    }
    assert_eq!(refused(error(404)).await, GenerateError::ModelNotFound("m".into()));
    assert_eq!(refused(error(429)).await, GenerateError::Busy { reason: because(), retry_after: None });
    for (status, name) in
        [(408, "request timeout"), (500, "internal server error"), (503, "service unavailable")]
    {
        let expected = GenerateError::Unavailable(format!("{status} {name}: {}", because()));
        assert_eq!(refused(error(status)).await, expected);
    }
    assert_eq!(refused(Reply::status(204)).await, GenerateError::Unavailable("204 no content".into()));
}

#[tokio::test]
async fn busy_servers_say_how_long_in_seconds_or_by_a_date() {
    for status in [429, 503] {
        let reply = Reply::status(status).header("retry-after", "7").text("later");
        let expected =
            GenerateError::Busy { reason: "later".into(), retry_after: Some(Duration::from_secs(7)) };
        assert_eq!(refused(reply).await, expected);
    }
    let past = Reply::status(429).header("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT").text("later");
    let expected = GenerateError::Busy { reason: "later".into(), retry_after: Some(Duration::ZERO) };
    assert_eq!(refused(past).await, expected);
    let future = Reply::status(503).header("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT");
    let wait = match refused(future).await {
        GenerateError::Busy { retry_after: Some(wait), .. } => wait,
        other => panic!("expected busy, got {other:?}"),
    };
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    let left = end.duration_since(SystemTime::now()).expect("the year is not over");
    assert!(wait.abs_diff(left) < Duration::from_secs(60));
}

#[tokio::test]
async fn a_long_reason_is_cut_between_characters_and_read_no_further() {
    let upstream = Upstream::start([Reply::status(500).text(&"日本語 ".repeat(500_000)).with_length()]).await;
    let error = engine(&upstream).generate(question(true)).await.err().expect("it is refused").to_string();
    assert!(error.starts_with("500 internal server error: 日本語 日本語"), "{error}");
    assert!(error.chars().count() < 550, "{}", error.chars().count());
    timeout(PATIENCE, upstream.all_closed()).await.expect("the rest of the reason is not waited for");
    assert_eq!(upstream.counts().sent, 0, "5 MiB were not read");
}

#[tokio::test]
async fn a_reason_that_never_ends_is_not_waited_for() {
    let error = refused(Reply::status(500).text("so far").hang()).await;
    assert_eq!(error, GenerateError::Unavailable("500 internal server error: so far".into()));
}

#[tokio::test]
async fn a_redirect_is_an_error_and_the_key_goes_nowhere() {
    let elsewhere = Upstream::start([Reply::status(200)]).await;
    for status in [301, 302, 303, 307, 308] {
        let redirect = Reply::status(status).header("location", &format!("{}/v1", elsewhere.url()));
        let error = refused(redirect).await.to_string();
        assert!(error.contains(&format!("redirects ({status} ")), "{error}");
        assert!(error.contains(&elsewhere.url()), "{error}");
    }
    assert_eq!(elsewhere.counts().accepted, 0);
}

#[tokio::test]
async fn nobody_listening_is_said_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let engine =
        OpenAi::new(RemoteConfig::new("lane", format!("http://{address}"))).expect("a good configuration");
    let error = engine.generate(question(true)).await.err().expect("nobody answers");
    assert_eq!(error, GenerateError::Unavailable(format!("connect to {address}: connection refused")));
}

#[tokio::test]
async fn a_server_without_tls_is_no_https_server() {
    let upstream = Upstream::start([Reply::status(200)]).await;
    let config = RemoteConfig::new("lane", upstream.url().replace("http:", "https:"));
    let engine = OpenAi::new(config).expect("a good configuration");
    let error = engine.models().await.expect_err("there is no TLS").to_string();
    assert!(error.starts_with(&format!("connect to {}: ", upstream.address())), "{error}");
}

#[tokio::test]
async fn a_server_that_breaks_off_before_answering_is_unavailable() {
    for (reply, says) in [
        (Reply::raw(), "the connection broke: closed by the server"),
        (Reply::raw().reset(), "the connection broke: connection reset"),
        (Reply::raw().text("HTTP/1.1 200 OK\r\ncontent-"), "the connection broke: closed by the server"),
        (
            Reply::raw().text("SSH-2.0-dropbear\r\n\r\n"),
            "the connection broke: the server does not speak HTTP/1.1",
        ),
    ] {
        assert_eq!(refused(reply).await, GenerateError::Unavailable(says.into()));
    }
    let endless =
        Reply::raw().text("HTTP/1.1 200 OK\r\n").text(&"x-more: and more\r\n".repeat(10_000)).hang();
    assert!(matches!(refused(endless).await, GenerateError::Unavailable(_)));
}

#[tokio::test]
async fn no_token_in_time_ends_the_wait_for_head_or_body() {
    let waits = Duration::from_millis(80);
    let late = GenerateError::Unavailable("no token within 80 ms".into());
    for (reply, answers) in [
        (Reply::raw().hang(), false),
        (
            Reply::events([""; 0]).text(": alive\n\n").event(&delta(&json!({"role": "assistant"}))).hang(),
            true,
        ),
    ] {
        let upstream = Upstream::start([reply]).await;
        let mut config = config(&upstream);
        config.first_token_timeout = waits;
        let (engine, start) = (OpenAi::new(config).expect("a good configuration"), Instant::now());
        match engine.generate(question(true)).await {
            Ok(stream) => {
                assert_eq!((rest(stream).await, answers), (vec![TokenEvent::Failed(late.clone())], true));
            }
            Err(error) => assert_eq!((error, answers), (late.clone(), false)),
        }
        assert!(start.elapsed() >= waits);
        timeout(PATIENCE, upstream.all_closed()).await.expect("the connection is closed");
    }
}

#[tokio::test]
async fn silence_after_a_token_is_not_waited_out() {
    let upstream = Upstream::start([Reply::events([says("a")]).hang()]).await;
    let mut config = config(&upstream);
    config.idle_timeout = Duration::from_millis(80);
    let engine = OpenAi::new(config).expect("a good configuration");
    let events = rest(engine.generate(question(true)).await.expect("an answer begins")).await;
    let late = GenerateError::Unavailable("nothing more for 80 ms".into());
    assert_eq!(events, [token("a"), TokenEvent::Failed(late)]);
    timeout(PATIENCE, upstream.all_closed()).await.expect("the connection is closed");
}

#[tokio::test]
async fn a_total_time_ends_an_answer_that_goes_on() {
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let lively = (0..1000).fold(Reply::events([says("a")]), |reply, _| reply.wait(&gate).text(": alive\n\n"));
    let upstream = Upstream::start([lively]).await;
    let mut config = config(&upstream);
    config.total_timeout = Some(Duration::from_millis(80));
    let engine = OpenAi::new(config).expect("a good configuration");
    let mut stream = engine.generate(question(true)).await.expect("an answer begins");
    assert_eq!(stream.next().await, Some(token("a")));
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    let alive = async {
        loop {
            pace.tick().await;
            gate.notify_one();
        }
    };
    let events = tokio::select! {
        events = rest(stream) => events,
        () = alive => unreachable!("it has no end"),
    };
    assert_eq!(events, [TokenEvent::Failed(GenerateError::Unavailable("not done within 80 ms".into()))]);
}

#[tokio::test]
async fn an_address_that_cannot_work_is_refused_at_once() {
    for (url, says) in [
        ("nonsense", "base_url: expected http://host or https://host"),
        ("ftp://host", "base_url: expected http or https, got ftp"),
        ("http://user:secret@host", "base_url: credentials do not belong in it, use api_key_env"),
    ] {
        assert_eq!(
            OpenAi::new(RemoteConfig::new("lane", url)).err().expect("it is refused").to_string(),
            says
        );
    }
    let mut config = RemoteConfig::new("lane", "http://host");
    config.api_key = Some("line\nbreak".into());
    let error = OpenAi::new(config.clone()).err().expect("it is refused").to_string();
    assert_eq!(error, "api key: expected printable ASCII");
    assert!(!format!("{config:?}").contains("break"));
}

#[tokio::test]
async fn an_answer_in_an_encoding_nobody_asked_for_is_an_error() {
    let zipped = Reply::events([""; 0]).header("content-encoding", "gzip").bytes(vec![0x1f, 0x8b, 8, 0]);
    let error = refused(zipped).await;
    assert_eq!(error, GenerateError::Unavailable("answered in gzip, which was not asked for".into()));
}

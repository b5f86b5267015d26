//! How it fails: error frames, time-outs, daemons that are not there, break off or talk nonsense.

use futures_util::StreamExt;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use super::*;

#[tokio::test]
async fn every_code_says_whose_fault_it_is() {
    let because = || "because, …".to_owned();
    for code in ["invalid_request", "frame_too_large"] {
        assert_eq!(
            refused(says(vec![error(code)])).await,
            GenerateError::InvalidRequest(because()),
            "{code}"
        );
    }
    for code in ["backend_unavailable", "internal", "deadline_exceeded", "model_not_found", "on_strike", ""] {
        assert_eq!(refused(says(vec![error(code)])).await, GenerateError::Unavailable(because()), "{code}");
    }
    let wait = Some(Duration::from_millis(250));
    for (code, retry_after_ms, retry_after) in [
        ("queue_full", json!(250), wait),
        ("queue_full", json!(null), None),
        ("backend_unavailable", json!(250), wait),
    ] {
        let mut frame = error(code);
        frame["retry_after_ms"] = retry_after_ms;
        frame["queue"] = json!({"running": 1, "waiting": 4, "capacity": 4});
        let busy = GenerateError::Busy { reason: because(), retry_after };
        assert_eq!(refused(says(vec![frame])).await, busy, "{code}");
    }
}

#[tokio::test]
async fn a_model_that_was_named_and_is_not_there_is_said_so() {
    let upstream = daemon([says(vec![error("model_not_found")])]).await;
    let mut request = question(true);
    request.model = Some("m".into());
    let refused = refusal(&engine(&upstream), request).await;
    assert_eq!(refused, GenerateError::ModelNotFound("m".into()));
}

#[tokio::test]
async fn an_error_that_names_no_request_is_ours() {
    let too_large = json!({"type": "error", "id": "", "code": "frame_too_large", "message": "too long"});
    let refused = refused(says_and(vec![too_large], Reply::end)).await;
    assert_eq!(refused, GenerateError::InvalidRequest("too long".into()));
}

#[tokio::test]
async fn an_error_after_a_token_ends_the_answer() {
    let mut drains = error("backend_unavailable");
    drains["message"] = json!("draining");
    let failed = TokenEvent::Failed(GenerateError::Unavailable("draining".into()));
    assert_eq!(events(vec![token("a"), drains, token("b")]).await, [said("a"), failed]);
}

#[tokio::test]
async fn nonsense_ends_the_answer_and_its_connection() {
    let no_reason = json!({"type": "done", "content": "a"});
    for (line, why) in [
        (
            json!({"type": "token", "id": "another's", "content": "b"}).to_string(),
            "a frame of another request came",
        ),
        (
            json!({"type": "done", "id": "another's", "content": "b"}).to_string(),
            "a frame of another request came",
        ),
        (
            json!({"type": "error", "id": "another's", "code": "internal"}).to_string(),
            "a frame of another request came",
        ),
        (json!({"content": "b"}).to_string(), "a frame without a type came"),
        (json!({"type": "hello"}).to_string(), "a frame of type hello came, which answers no such request"),
        (named(no_reason, &json!("0")).to_string(), "a `done` frame without `stop_reason` came"),
        (
            json!({"type": "token", "id": "0", "content": 7}).to_string(),
            "invalid type: integer `7`, expected a string at line 1 column 12",
        ),
        ("HTTP/1.1 400 Bad Request".to_owned(), "expected value at line 1 column 1"),
        ("[1]".to_owned(), "invalid type: integer `1`, expected a string at line 1 column 2"),
        (
            "{\"type\":\"token\",\"id\":\"0\",\"content\":\"cut".to_owned(),
            "EOF while parsing a string at line 1 column 39",
        ),
    ] {
        let answer: Answer = Box::new(move |asked: &Recorded| {
            let first = named(token("a"), &asked.json()["id"]);
            Reply::frames([&first]).text(&line).text("\n").hang()
        });
        let upstream = daemon([answer]).await;
        let engine = engine(&upstream);
        let events = answered(&engine, question(true)).await;
        let says = format!("the answer is not understood: {why}");
        assert_eq!(events, [said("a"), TokenEvent::Failed(GenerateError::Unavailable(says))]);
        timeout(PATIENCE, upstream.all_closed()).await.expect("the connection is closed");
    }
}

#[tokio::test]
async fn what_is_not_understood_is_shown_without_what_looks_like_a_key() {
    let answer: Answer =
        Box::new(|_| Reply::frames([&json!({"type": "done", "id": "0", "stop_reason": KEY})]));
    let refused = refused(answer).await.to_string();
    assert!(refused.contains("unknown variant `…`") && !refused.contains(KEY), "{refused}");
}

#[tokio::test]
async fn a_frame_longer_than_any_is_not_held() {
    let endless = says_and(vec![token("a")], |reply| {
        reply.text("{\"type\":\"token\",\"content\":\"").bytes(vec![b'x'; (64 << 20) + 1]).hang()
    });
    let upstream = daemon([endless]).await;
    let events = answered(&engine(&upstream), question(true)).await;
    let says = "the answer was cut short: frame exceeds 67108864 bytes".to_owned();
    assert_eq!(events, [said("a"), TokenEvent::Failed(GenerateError::Unavailable(says))]);
    timeout(PATIENCE, upstream.all_closed()).await.expect("the connection is closed");
}

#[tokio::test]
async fn an_answer_cut_short_says_how() {
    for (answer, why) in [
        (says_and(vec![token("a")], Reply::end), "closed by the other daemon"),
        (
            says_and(vec![token("a")], |reply| reply.text("{\"type\":\"tok").end()),
            "closed by the other daemon",
        ),
        (says_and(vec![token("a")], Reply::reset), "connection reset"),
    ] {
        let events = events_of(answer).await;
        let says = format!("the answer was cut short: {why}");
        assert_eq!(events, [said("a"), TokenEvent::Failed(GenerateError::Unavailable(says))]);
    }
    let before = says_and(vec![json!({"type": "status", "status": "running"})], Reply::end);
    let says = "the answer was cut short: closed by the other daemon".to_owned();
    assert_eq!(refused(before).await, GenerateError::Unavailable(says));
}

#[tokio::test]
async fn a_new_connection_closed_without_a_word_is_a_key_refused() {
    for (hello, key) in [
        (Reply::frames([]).end(), Some(KEY)),
        (Reply::frames([]).reset(), Some(KEY)),
        (Reply::frames([]).end(), None),
    ] {
        let upstream = Upstream::daemon(hello, [says(vec![done("")])]).await;
        let mut config = config(&upstream);
        config.api_key = key.map(Into::into);
        let engine = Inferd::new(config).expect("a good configuration");
        let refused = refusal(&engine, question(true)).await;
        assert_eq!(refused, GenerateError::RefusedCredentials);
        assert_eq!(engine.models().await.err(), Some(GenerateError::RefusedCredentials));
        assert_eq!(upstream.counts().accepted, 2, "neither is tried again");
    }
}

#[tokio::test]
async fn nobody_listening_is_said_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let place = listener.local_addr().expect("it is bound").to_string();
    drop(listener);
    let config = InferdConfig::new("lane", InferdAddress::Tcp(place.clone()));
    let engine = Inferd::new(config).expect("a good configuration");
    let error = refusal(&engine, question(true)).await;
    assert_eq!(error, GenerateError::Unavailable(format!("connect to {place}: connection refused")));
}

#[tokio::test]
async fn no_token_in_time_ends_the_wait_however_lively_the_queue_over_there_is() {
    let waits = SHORT;
    let queued = json!({"type": "status", "status": "queued", "position": 1});
    let flood = vec![queued.clone(); 100];
    for answer in [
        says_and(vec![], Reply::hang),
        says_and(vec![queued], Reply::hang),
        // As much as can be sent until the client leaves.
        says_and(flood, |reply| (0..12).fold(reply, |reply, _| reply.clone().followed_by(reply)).hang()),
    ] {
        let upstream = daemon([answer]).await;
        let mut config = config(&upstream);
        config.first_token_timeout = waits;
        let (engine, start) = (Inferd::new(config).expect("a good configuration"), Instant::now());
        let late = refusal(&engine, question(true)).await;
        assert_eq!(late, GenerateError::Unavailable("no token within 80 ms".into()));
        assert!(start.elapsed() >= waits);
        timeout(PATIENCE, upstream.all_closed()).await.expect("the connection is closed");
    }
}

#[tokio::test]
async fn silence_after_a_token_is_not_waited_out_and_an_answer_without_end_has_one() {
    let limit = SHORT;
    let mut idle = config(&daemon([says(vec![])]).await);
    idle.idle_timeout = limit;
    let mut total = idle.clone();
    total.idle_timeout = PATIENCE;
    total.total_timeout = Some(limit);
    for (mut config, says) in [(idle, "nothing more for 80 ms"), (total, "not done within 80 ms")] {
        let upstream = daemon([says_and(vec![token("a")], Reply::hang)]).await;
        config.address = InferdAddress::Tcp(upstream.address().to_string());
        let engine = Inferd::new(config).expect("a good configuration");
        let mut stream = engine.generate(question(true)).await.expect("an answer begins");
        assert_eq!(stream.next().await, Some(said("a")));
        assert_eq!(stream.next().await, Some(TokenEvent::Failed(GenerateError::Unavailable(says.into()))));
        assert_eq!(stream.next().await, None);
        timeout(PATIENCE, upstream.all_closed()).await.expect("the connection is closed");
    }
}

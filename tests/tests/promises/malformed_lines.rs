//! What is wrong with a line is said to whoever sent it, and the connection goes on.

use anyhow::Result;
use inferd_tests::{Answer, Daemon, Gate, Upstream, free_address, request};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{code, text};

const MOCK: &str = r#"
[[backends]]
name = "m"
kind = "mock"
models = ["m"]
tokens = ["a"]
"#;

/// The one frame that answers a line, as `id code: message`.
async fn said(daemon: &Daemon, line: &[u8]) -> Result<String> {
    let mut client = daemon.connect().await?;
    client.send_bytes(line).await?;
    client.send_bytes(b"\n").await?;
    let error = client.frame().await?;
    let said = format!("{:?} {}: {}", text(&error, "id")?, code(&error)?, text(&error, "message")?);
    assert_eq!(
        client.terminal(&request("next")).await?["content"],
        "a",
        "the connection goes on after {said}"
    );
    Ok(said)
}

#[tokio::test]
async fn a_line_that_is_no_request_is_answered_with_what_is_wrong_and_its_id() -> Result<()> {
    let daemon = Daemon::start(MOCK).await?;
    let with = |field: &str, value: Value| {
        let mut asked = request("i");
        asked[field] = value;
        asked.to_string().into_bytes()
    };
    let lines: [Vec<u8>; 18] = [
        b"nonsense".to_vec(),
        b"[1, 2]".to_vec(),
        br#"{"id":"i","messages":[{"role":"user","content":"x"}]"#.to_vec(),
        br#"{"id":"i","messages":[]} and more"#.to_vec(),
        b"{\"id\":\"i\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\xfe\"}]}".to_vec(),
        br#"{"id":"i"}"#.to_vec(),
        br#"{"id":7,"messages":[]}"#.to_vec(),
        br#"{"type":"launch","id":"i"}"#.to_vec(),
        br#"{"type":"cancel"}"#.to_vec(),
        with("messages", json!([{"role": "narrator", "content": "x"}])),
        with("messages", json!([{"role": "user", "content": 7}])),
        with(
            "messages",
            json!([{"role": "user", "content": [{"type": "image", "mime": "text/html", "data": ""}]}]),
        ),
        with("temperature", json!(2.5)),
        with("top_p", json!(-0.1)),
        with("max_tokens", json!(0)),
        with("top_k", json!(-1)),
        with("image_token_budget", json!(71)),
        with("stop", vec!["x"; 17].into()),
    ];
    let mut answers = String::new();
    for line in &lines {
        answers += &said(&daemon, line).await?;
        answers.push('\n');
    }
    assert_snapshot!(answers, @r#"
    "" invalid_request: expected a JSON object on each line
    "" invalid_request: expected a JSON object on each line
    "i" invalid_request: not valid JSON: EOF while parsing an object at line 1 column 52
    "i" invalid_request: unexpected text after the object
    "i" invalid_request: not valid JSON: invalid unicode code point at line 1 column 49
    "i" invalid_request: messages: expected at least one message
    "" invalid_request: id: invalid type: integer `7`, expected a string at line 1 column 7
    "i" invalid_request: type: expected `request`, `cancel`, `hello`, `embed`, `servers`, `tools`, `call` or `auth`, got `launch`
    "" invalid_request: missing field `id` at line 1 column 17
    "i" invalid_request: messages[0].role: unknown variant `narrator`, expected one of `system`, `user`, `assistant`, `tool` at line 1 column 54
    "i" invalid_request: messages[0].content: invalid type: integer `7`, expected a string or an array of blocks at line 1 column 34
    "i" invalid_request: messages[0].content: expected an image's `mime` to begin with `image/`
    "i" invalid_request: temperature: expected a number from 0 to 2, got 2.5
    "i" invalid_request: top_p: expected a number from 0 to 1, got -0.1
    "i" invalid_request: max_tokens: expected at least 1
    "i" invalid_request: top_k: invalid value: integer `-1`, expected u32 at line 1 column 63
    "i" invalid_request: image_token_budget: expected one of [70, 140, 280, 560, 1120], got 71
    "i" invalid_request: stop: expected at most 16 texts, got 17
    "#);
    Ok(())
}

#[tokio::test]
async fn a_model_that_is_not_served_is_not_found() -> Result<()> {
    let daemon = Daemon::start(MOCK).await?;
    let line =
        json!({"id": "i", "model": "other", "messages": [{"role": "user", "content": "x"}]}).to_string();
    assert_snapshot!(said(&daemon, line.as_bytes()).await?, @r#""i" model_not_found: model `other` is not served here"#);
    Ok(())
}

#[tokio::test]
async fn an_invalid_request_takes_no_place_though_every_one_is_taken() -> Result<()> {
    let gate = Gate::shut();
    let upstream = Upstream::always(Answer::held(&["a"], &gate, &[])).await?;
    let limits = "[admission]\nactive = 1\nqueue_depth = 0\n";
    let daemon = Daemon::start(&format!("{limits}{}", upstream.backend("m"))).await?;
    let mut client = daemon.connect().await?;
    client.send(&request("open")).await?;
    client.frame_of("token").await?;
    let invalid = client.terminal(&json!({"id": "i", "messages": []})).await?;
    assert_eq!((code(&invalid)?, text(&invalid, "id")?), ("invalid_request", "i"));
    let valid = client.terminal(&request("v")).await?;
    assert_eq!(code(&valid)?, "queue_full");
    gate.open();
    assert_eq!(client.frame_of("done").await?["id"], "open");
    Ok(())
}

#[tokio::test]
async fn an_id_that_is_still_open_is_refused_and_the_first_goes_on() -> Result<()> {
    let gate = Gate::shut();
    let upstream = Upstream::always(Answer::held(&["a"], &gate, &["b"])).await?;
    let daemon = Daemon::start(&upstream.backend("m")).await?;
    let mut client = daemon.connect().await?;
    client.send(&request("twin")).await?;
    client.frame_of("token").await?;
    let second = client.terminal(&request("twin")).await?;
    assert_eq!((code(&second)?, text(&second, "id")?), ("invalid_request", "twin"));
    assert!(text(&second, "message")?.starts_with("id: "), "{second}");

    let mut other = daemon.connect().await?;
    other.send(&request("twin")).await?;
    assert_eq!(other.frame_of("token").await?["id"], "twin", "another connection has ids of its own");
    gate.open();
    assert_eq!(client.frame_of("done").await?["content"], "ab");
    assert_eq!(client.terminal(&request("twin")).await?["content"], "ab", "an id that ended is free again");
    Ok(())
}

#[tokio::test]
async fn requests_without_an_id_are_told_apart_when_several_are_open() -> Result<()> {
    let gate = Gate::shut();
    let upstream = Upstream::always(Answer::held(&["a"], &gate, &[])).await?;
    let daemon = Daemon::start(&upstream.backend("m")).await?;
    let mut client = daemon.connect().await?;
    let nameless = json!({"messages": [{"role": "user", "content": "x"}]});
    let mut ids = Vec::new();
    for _ in 0..3 {
        client.send(&nameless).await?;
        ids.push(text(&client.frame().await?, "id")?.to_owned());
    }
    assert_eq!(ids[0], "");
    assert!(ids[1] != ids[2] && ids[1].len() == 36 && ids[2].len() == 36, "{ids:?}");
    gate.open();
    let mut ended = Vec::new();
    for _ in 0..3 {
        ended.push(text(&client.frame_of("done").await?, "id")?.to_owned());
    }
    ended.sort_unstable();
    ids.sort_unstable();
    assert_eq!(ended, ids);
    Ok(())
}

#[tokio::test]
async fn frames_of_many_requests_interleave_and_each_keeps_its_order() -> Result<()> {
    let tokens = ["0", "1", "2", "3", "4", "5"];
    let upstream =
        Upstream::always(Answer::slow_tokens(&tokens, std::time::Duration::from_millis(10))).await?;
    let daemon = Daemon::start(&format!("admission.active = 16\n{}", upstream.backend("m"))).await?;
    let mut client = daemon.connect().await?;
    for n in 0..16 {
        client.send(&request(&n.to_string())).await?;
    }
    let mut said = vec![String::new(); 16];
    let mut ended = 0;
    while ended < 16 {
        let frame = client.frame().await?;
        let at: usize = text(&frame, "id")?.parse()?;
        match text(&frame, "type")? {
            "token" => said[at] += text(&frame, "content")?,
            _ => {
                assert_eq!(text(&frame, "content")?, "012345");
                ended += 1;
            }
        }
    }
    assert!(said.iter().all(|said| said == "012345"), "{said:?}");
    assert!(upstream.seen().most_open > 1, "they ran one after another");
    Ok(())
}

#[tokio::test]
async fn line_ends_may_be_of_either_kind_empty_lines_are_skipped_and_the_last_needs_none() -> Result<()> {
    let tcp = free_address()?;
    let daemon = Daemon::start(&format!("listen.tcp = \"{tcp}\"\n{MOCK}")).await?;
    for mut client in [daemon.connect().await?, daemon.connect_tcp().await?] {
        let lines = format!("\n\r\n{}\r\n\n\n{}\n{}", request("crlf"), request("lf"), request("none"));
        client.send_bytes(lines.as_bytes()).await?;
        client.finish_sending().await?;
        let frames = client.rest().await?;
        let mut done: Vec<_> = frames
            .iter()
            .filter(|frame| frame["type"] == "done")
            .map(|done| text(done, "id"))
            .collect::<Result<_>>()?;
        done.sort_unstable();
        assert_eq!(done, ["crlf", "lf", "none"]);
        assert_eq!(frames.len(), 6, "a token and a done each: {frames:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_request_in_small_pieces_is_the_same_request() -> Result<()> {
    let daemon = Daemon::start(MOCK).await?;
    let mut client = daemon.connect().await?;
    let line = format!("{}\n", json!({"id": "ü\u{1f600}", "messages": [{"role": "user", "content": "x"}]}));
    for byte in line.as_bytes() {
        client.send_bytes(&[*byte]).await?;
    }
    assert_eq!(client.frame_of("done").await?["id"], "ü\u{1f600}");
    Ok(())
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_line_leaves_nothing_behind() -> Result<()> {
    let tcp = free_address()?;
    let daemon = Daemon::start(&format!("listen.tcp = \"{tcp}\"\n{MOCK}")).await?;
    for mut client in [daemon.connect().await?, daemon.connect_tcp().await?] {
        client.send_bytes(br#"{"id":"half","messages":[{"role":"user","con"#).await?;
        drop(client);
    }
    let now = daemon.until(|now| now["clients"] == 0).await?;
    assert_eq!((&now["running"], &now["waiting"]), (&json!(0), &json!(0)));
    Ok(())
}

#[tokio::test]
async fn what_v1_does_not_know_is_not_said_to_who_does_not_ask_for_it() -> Result<()> {
    let daemon = Daemon::start(MOCK).await?;
    let mut client = daemon.connect().await?;
    let mut plain = client.terminal(&request("plain")).await?;
    assert_eq!(
        plain.as_object_mut().map(|done| done.keys().cloned().collect::<Vec<_>>()).unwrap_or_default(),
        ["backend", "content", "id", "stop_reason", "type", "usage"]
    );
    client.send(&json!({"type": "hello"})).await?;
    let hello = client.frame().await?;
    assert_eq!((&hello["type"], &hello["protocol"]), (&json!("hello"), &json!(1)));
    assert!(client.terminal(&request("after hello")).await?["timings"].is_object());
    Ok(())
}

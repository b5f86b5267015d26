//! What the `openai` engine sends is what OpenAI's own client library has types for, and means what was asked.

use anyhow::{Context, Result};
use inferd_engine::{Backend, RemoteConfig, openai::OpenAi};
use inferd_proto::EmbedRequest;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::types::{KEY, daemon, exchange, exchange_both, question, refused};
use crate::{types_url, with};

const KIND: &str = "openai";

/// An offer of two tools, of which the server calls the first unless it is told otherwise.
fn tools() -> Value {
    let tool = |name: &str| {
        let parameters =
            json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
        json!({"type": "function", "function": {"name": name, "description": "of a city", "parameters": parameters}})
    };
    json!([tool("weather"), tool("time")])
}

#[tokio::test]
async fn nothing_is_sent_but_what_was_asked_for() -> Result<()> {
    let daemon = daemon(KIND).await?;
    let messages = question()["messages"].clone();
    let streamed = json!({
        "model": "echo", "messages": messages, "stream": true, "stream_options": {"include_usage": true}
    });
    assert_eq!(exchange(&daemon, &question()).await?.sent, streamed);
    let short = exchange(&daemon, &with(question(), json!({"stream": false, "max_tokens": 200}))).await?;
    assert_eq!(
        short.sent,
        json!({"model": "echo", "messages": messages, "stream": false, "max_tokens": 200})
    );
    Ok(())
}

#[tokio::test]
async fn every_option_is_taken_at_its_bounds_and_arrives_as_it_was_given() -> Result<()> {
    let daemon = daemon(KIND).await?;
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"],
        "additionalProperties": false});
    let json_schema =
        json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": true}});
    let options = [
        (json!({"temperature": 0}), json!({"temperature": 0.0})),
        (json!({"temperature": 2}), json!({"temperature": 2.0})),
        (json!({"top_p": 0}), json!({"top_p": 0.0})),
        (json!({"top_p": 1}), json!({"top_p": 1.0})),
        (json!({"top_k": 40}), json!({"top_k": 40})),
        (json!({"max_tokens": 4096}), json!({"max_tokens": 4096})),
        (json!({"stop": ["\n\n", "END"]}), json!({"stop": ["\n\n", "END"]})),
        (json!({"seed": -7}), json!({"seed": -7})),
        (json!({"grammar": "root ::= \"a\""}), json!({"grammar": "root ::= \"a\""})),
        (
            json!({"response_format": {"type": "json_object"}}),
            json!({"response_format": {"type": "json_object"}}),
        ),
        (
            json!({"response_format": {"type": "json_schema", "schema": schema}}),
            json!({"response_format": json_schema}),
        ),
    ];
    for (asked, expected) in options {
        for exchange in exchange_both(&daemon, &with(question(), asked.clone())).await? {
            let plain = json!(["model", "messages", "stream", "stream_options"]);
            let sent = exchange.sent.as_object().context("a request is an object")?;
            let given = sent
                .iter()
                .filter(|(key, _)| !plain.as_array().is_some_and(|plain| plain.contains(&json!(key))));
            let given: serde_json::Map<_, _> =
                given.map(|(key, value)| (key.clone(), value.clone())).collect();
            assert_eq!(Value::from(given), expected, "for {asked}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn turns_of_every_role_are_taken_and_an_image_among_them() -> Result<()> {
    let daemon = daemon(KIND).await?;
    let call = json!({"id": "call_1", "type": "function",
        "function": {"name": "weather", "arguments": "{\"city\":\"Tromsø\"}"}});
    let asked = json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [
            {"type": "text", "text": "Where is this?"},
            {"type": "image", "mime": "image/png", "data": "iVBORw0KGgo="},
        ]},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "snow"},
        {"role": "assistant", "content": "In Tromsø."},
        {"role": "user", "content": [{"type": "text", "text": "Sure?"}]},
    ]);
    let expected = json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [
            {"type": "text", "text": "Where is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        ]},
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "snow"},
        {"role": "assistant", "content": "In Tromsø."},
        {"role": "user", "content": "Sure?"},
    ]);
    for exchange in
        exchange_both(&daemon, &with(question(), json!({"messages": asked, "tools": tools()}))).await?
    {
        assert_eq!(exchange.sent["messages"], expected);
    }
    Ok(())
}

#[tokio::test]
async fn tools_are_offered_called_and_answered_under_every_choice() -> Result<()> {
    let daemon = daemon(KIND).await?;
    let named = json!({"type": "function", "function": {"name": "time"}});
    let choices = [
        (Value::Null, Some("weather")),
        (json!("auto"), Some("weather")),
        (json!("required"), Some("weather")),
        (named, Some("time")),
        (json!("none"), None),
    ];
    for (choice, called) in choices {
        let mut request = with(question(), json!({"tools": tools()}));
        if !choice.is_null() {
            request["tool_choice"] = choice.clone();
        }
        for exchange in exchange_both(&daemon, &request).await? {
            assert_eq!(exchange.sent["tools"], tools());
            assert_eq!(exchange.sent["tool_choice"], choice);
            let done = exchange.done();
            let stop_reason = if called.is_some() { "tool_calls" } else { "end" };
            assert_eq!(done["stop_reason"], stop_reason, "for {choice}");
            assert_eq!(done["tool_calls"][0]["function"]["name"].as_str(), called, "for {choice}");
        }
    }
    let mut request = with(question(), json!({"tools": tools()}));
    let call = exchange(&daemon, &request).await?.done()["tool_calls"].clone();
    let messages = request["messages"].as_array_mut().context("messages")?;
    messages.push(json!({"role": "assistant", "content": "", "tool_calls": call}));
    messages.push(json!({"role": "tool", "tool_call_id": call[0]["id"], "content": "snow"}));
    let answered = exchange(&daemon, &request).await?;
    assert_eq!(answered.sent["messages"][1]["tool_calls"], call, "a call goes back as it came");
    assert_eq!(answered.done()["stop_reason"], "end");
    Ok(())
}

#[tokio::test]
async fn reasoning_comes_apart_from_the_answer_and_usage_and_length_are_the_servers() -> Result<()> {
    let daemon = daemon(KIND).await?;
    let thinking = exchange(&daemon, &with(question(), json!({"model": "thinker"}))).await?;
    let told = |kind: Value| -> String {
        let frames = thinking.frames.iter().filter(|frame| frame["type"] == "token" && frame["kind"] == kind);
        frames.filter_map(|frame| frame["content"].as_str()).collect()
    };
    assert_eq!(told(json!("thinking")), "hm, wörds");
    assert_eq!(thinking.done()["content"], told(Value::Null));
    assert_eq!(thinking.done()["usage"]["prompt_tokens"], 11);

    let mut client = daemon.connect().await?;
    for stream in [true, false] {
        let short = with(question(), json!({"max_tokens": 3, "stream": stream}));
        let done = client.terminal(&short).await?;
        assert_eq!((&done["stop_reason"], &done["content"]), (&json!("length"), &json!("{\"r")));
    }
    Ok(())
}

#[tokio::test]
async fn what_the_api_has_no_word_for_is_refused_by_name() -> Result<()> {
    let daemon = daemon(KIND).await?;
    let message = refused(&daemon, &with(question(), json!({"image_token_budget": 280}))).await?;
    assert!(message.starts_with("image_token_budget: "), "{message}");
    Ok(())
}

#[tokio::test]
async fn texts_are_embedded_and_models_listed() -> Result<()> {
    let config = RemoteConfig { api_key: Some(KEY.into()), ..RemoteConfig::new("vendor", types_url()?) };
    let vendor = OpenAi::new(config)?;
    let input = vec!["one".to_owned(), "two".to_owned()];
    let plain = vendor.embed(EmbedRequest { input: input.clone(), ..EmbedRequest::default() }).await?;
    assert_eq!(plain.embeddings, [[0.0; 4], [1.0; 4]]);
    let request = EmbedRequest { input, dimensions: Some(2), ..EmbedRequest::default() };
    assert_eq!(vendor.embed(request).await?.embeddings, [[0.0; 2], [1.0; 2]]);
    assert_eq!(vendor.models().await?, ["echo", "thinker"]);
    Ok(())
}

#[tokio::test]
async fn the_server_would_refuse_what_has_no_type() -> Result<()> {
    let wrong = [
        json!({"model": "echo", "messages": [{"role": "user", "content": "x"}], "temprature": 1}),
        json!({"model": "echo", "messages": [{"role": "user", "content": "x", "mood": "good"}]}),
        json!({"model": "echo", "messages": [{"role": "user", "content": "x"}], "seed": "7"}),
        json!({"model": "echo", "messages": [{"role": "user", "content": "x"}], "top_k": "7"}),
        json!({"messages": [{"role": "user", "content": "x"}]}),
    ];
    for body in wrong {
        let body = body.to_string();
        let address = types_url()?.replace("http://", "");
        let mut stream = TcpStream::connect(&address).await?;
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nauthorization: Bearer {KEY}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{body} got {answer}");
    }
    Ok(())
}

//! What the `openai` engine sends is what OpenAI's own client library has types for, and means what was asked.

use anyhow::Result;
use serde_json::{Value, json};

use crate::types::{
    answer_a_call, asking, check_answers, check_embeddings, check_options, check_refused,
    check_server_refuses, check_tools, conversation, daemon, exchange, exchange_both, models, question,
    tools,
};

const KIND: &str = "openai";
/// What every request has.
const PLAIN: [&str; 4] = ["model", "messages", "stream", "stream_options"];

#[tokio::test]
async fn nothing_is_sent_but_what_was_asked_for() -> Result<()> {
    let daemon = daemon(KIND).await?;
    let messages = question()["messages"].clone();
    let streamed = json!({
        "model": "echo", "messages": messages, "stream": true, "stream_options": {"include_usage": true}
    });
    assert_eq!(exchange(&daemon, &question()).await?.sent, streamed);
    let short = exchange(&daemon, &asking(json!({"stream": false, "max_tokens": 200}))).await?;
    let expected = json!({"model": "echo", "messages": messages, "stream": false, "max_tokens": 200});
    assert_eq!(short.sent, expected);
    Ok(())
}

#[tokio::test]
async fn every_option_is_taken_at_its_bounds_and_arrives_as_it_was_given() -> Result<()> {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"],
        "additionalProperties": false});
    let named = json!({"name": "answer", "schema": schema, "strict": true});
    let same = |option: Value| (option.clone(), option);
    let options = [
        (json!({"temperature": 0}), json!({"temperature": 0.0})),
        (json!({"temperature": 2}), json!({"temperature": 2.0})),
        (json!({"top_p": 0}), json!({"top_p": 0.0})),
        (json!({"top_p": 1}), json!({"top_p": 1.0})),
        same(json!({"top_k": 40})),
        same(json!({"max_tokens": 4096})),
        same(json!({"stop": ["\n\n", "END"]})),
        same(json!({"seed": -7})),
        same(json!({"grammar": "root ::= \"a\""})),
        same(json!({"response_format": {"type": "json_object"}})),
        (
            json!({"response_format": {"type": "json_schema", "schema": schema}}),
            json!({"response_format": {"type": "json_schema", "json_schema": named}}),
        ),
    ];
    check_options(&daemon(KIND).await?, &PLAIN, &options).await
}

#[tokio::test]
async fn turns_of_every_role_are_taken_and_an_image_among_them() -> Result<()> {
    let daemon = daemon(KIND).await?;
    let mut expected = conversation();
    expected[1]["content"][1] =
        json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}});
    expected[2]["content"] = Value::Null;
    expected[5]["content"] = json!("Sure?");
    let request = asking(json!({"messages": conversation(), "tools": tools()}));
    for exchange in exchange_both(&daemon, &request).await? {
        assert_eq!(exchange.sent["messages"], expected);
    }
    Ok(())
}

#[tokio::test]
async fn tools_are_offered_called_and_answered_under_every_choice() -> Result<()> {
    let daemon = daemon(KIND).await?;
    let same = |choice: Value, called| (choice.clone(), choice, called);
    let choices = [
        same(Value::Null, Some("weather")),
        same(json!("auto"), Some("weather")),
        same(json!("required"), Some("weather")),
        same(json!({"type": "function", "function": {"name": "time"}}), Some("time")),
        same(json!("none"), None),
    ];
    check_tools(&daemon, &tools(), &choices).await?;
    let sent = answer_a_call(&daemon).await?.sent;
    assert_eq!(sent["messages"][2]["tool_call_id"], sent["messages"][1]["tool_calls"][0]["id"]);
    Ok(())
}

#[tokio::test]
async fn reasoning_usage_and_a_length_that_is_reached_are_told_as_the_server_tells_them() -> Result<()> {
    check_answers(&daemon(KIND).await?).await
}

#[tokio::test]
async fn what_the_api_has_no_word_for_is_refused_by_name() -> Result<()> {
    check_refused(&daemon(KIND).await?, &[json!({"image_token_budget": 280})]).await
}

#[tokio::test]
async fn texts_are_embedded_and_models_listed() -> Result<()> {
    let daemon = daemon(KIND).await?;
    check_embeddings(&daemon).await?;
    assert_eq!(models(&daemon).await?, ["echo", "thinker"]);
    Ok(())
}

#[tokio::test]
async fn the_server_refuses_what_has_no_type() -> Result<()> {
    let turn = json!({"role": "user", "content": "x"});
    let bodies = [
        json!({"model": "echo", "messages": [turn], "temprature": 1}),
        json!({"model": "echo", "messages": [{"role": "user", "content": "x", "mood": "good"}]}),
        json!({"model": "echo", "messages": [{"role": "user", "content": [{"type": "text", "txet": "x"}]}]}),
        json!({"model": "echo", "messages": [turn], "seed": "7"}),
        json!({"model": "echo", "messages": [turn], "top_k": "7"}),
        json!({"model": "echo", "messages": [turn], "stream": "true"}),
        json!({"messages": [turn]}),
    ];
    check_server_refuses("/v1/chat/completions", "", &bodies).await?;
    check_server_refuses("/v1/embeddings", "", &[json!({"model": "echo", "input": ["x"], "size": 1})]).await
}

//! What the `anthropic` engine sends is what Anthropic's own client library has types for, and means what was asked.

use anyhow::Result;
use serde_json::{Value, json};

use crate::types::{
    answer_a_call, asking, check_answers, check_options, check_refused, check_server_refuses, check_tools,
    city, conversation, daemon, exchange, exchange_both, models, question, tools,
};

const KIND: &str = "anthropic";
/// What every request has.
const PLAIN: [&str; 4] = ["model", "messages", "stream", "max_tokens"];

#[tokio::test]
async fn nothing_is_sent_but_what_was_asked_for_and_a_limit() -> Result<()> {
    let daemon = daemon(KIND).await?;
    let messages = question()["messages"].clone();
    let expected = json!({"model": "echo", "messages": messages, "max_tokens": 4096, "stream": true});
    assert_eq!(exchange(&daemon, &question()).await?.sent, expected);
    let short = exchange(&daemon, &asking(json!({"stream": false, "max_tokens": 200}))).await?;
    let expected = json!({"model": "echo", "messages": messages, "max_tokens": 200, "stream": false});
    assert_eq!(short.sent, expected);
    Ok(())
}

#[tokio::test]
async fn every_option_is_taken_at_its_bounds_and_arrives_as_it_was_given() -> Result<()> {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"],
        "additionalProperties": false});
    let options = [
        (json!({"temperature": 0}), json!({"temperature": 0.0})),
        (json!({"temperature": 1}), json!({"temperature": 1.0})),
        (json!({"top_p": 0}), json!({"top_p": 0.0})),
        (json!({"top_p": 1}), json!({"top_p": 1.0})),
        (json!({"top_k": 40}), json!({"top_k": 40})),
        (json!({"stop": ["\n\n", "END"]}), json!({"stop_sequences": ["\n\n", "END"]})),
        (
            json!({"response_format": {"type": "json_schema", "schema": schema}}),
            json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}}),
        ),
    ];
    check_options(&daemon(KIND).await?, &PLAIN, &options).await
}

#[tokio::test]
async fn turns_of_every_role_are_taken_and_an_image_among_them() -> Result<()> {
    let daemon = daemon(KIND).await?;
    let source = json!({"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="});
    let input = json!({"city": "Tromsø"});
    let expected = json!([
        {"role": "user", "content": [{"type": "text", "text": "Where is this?"}, {"type": "image", "source": source}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "call_1", "name": "weather", "input": input}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "snow"}]},
        {"role": "assistant", "content": "In Tromsø."},
        {"role": "user", "content": "Sure?"},
    ]);
    let request = asking(json!({"messages": conversation(), "tools": tools()}));
    for exchange in exchange_both(&daemon, &request).await? {
        assert_eq!(exchange.sent["system"], "Be brief.");
        assert_eq!(exchange.sent["messages"], expected);
    }
    Ok(())
}

#[tokio::test]
async fn tools_are_offered_called_and_answered_under_every_choice() -> Result<()> {
    let daemon = daemon(KIND).await?;
    let choices = [
        (Value::Null, Value::Null, Some("weather")),
        (json!("auto"), json!({"type": "auto"}), Some("weather")),
        (json!("required"), json!({"type": "any"}), Some("weather")),
        (
            json!({"type": "function", "function": {"name": "time"}}),
            json!({"type": "tool", "name": "time"}),
            Some("time"),
        ),
        (json!("none"), json!({"type": "none"}), None),
    ];
    let tool = |name: &str| json!({"name": name, "description": "of a city", "input_schema": city()});
    check_tools(&daemon, &json!([tool("weather"), tool("time")]), &choices).await?;
    let messages = answer_a_call(&daemon).await?.sent["messages"].clone();
    assert_eq!(messages[2]["content"][0]["tool_use_id"], messages[1]["content"][0]["id"]);
    Ok(())
}

#[tokio::test]
async fn reasoning_usage_and_a_length_that_is_reached_are_told_as_the_server_tells_them() -> Result<()> {
    check_answers(&daemon(KIND).await?).await
}

#[tokio::test]
async fn what_the_api_has_no_word_for_is_refused_by_name() -> Result<()> {
    let options = [
        json!({"temperature": 2}),
        json!({"seed": 7}),
        json!({"grammar": "root ::= \"a\""}),
        json!({"image_token_budget": 280}),
        json!({"response_format": {"type": "json_object"}}),
    ];
    check_refused(&daemon(KIND).await?, &options).await
}

#[tokio::test]
async fn models_are_listed() -> Result<()> {
    assert_eq!(models(&daemon(KIND).await?).await?, ["echo", "thinker"]);
    Ok(())
}

#[tokio::test]
async fn the_server_refuses_what_has_no_type() -> Result<()> {
    let turn = json!({"role": "user", "content": "x"});
    let bodies = [
        json!({"model": "echo", "messages": [turn]}),
        json!({"model": "echo", "max_tokens": 9, "messages": [turn], "seed": 1}),
        json!({"model": "echo", "max_tokens": 9, "messages": [turn], "temperature": 1.5}),
        json!({"model": "echo", "max_tokens": 9, "messages": [turn], "tool_choice": "auto"}),
        json!({"model": "echo", "max_tokens": 9, "messages": [{"role": "tool", "content": "x"}]}),
        json!({"model": "echo", "max_tokens": 9, "messages": [{"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "never_called", "content": "x"}]}]}),
    ];
    check_server_refuses("/v1/messages", "anthropic-version: 2023-06-01\r\n", &bodies).await
}

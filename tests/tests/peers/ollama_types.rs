//! What the `ollama` engine sends is what Ollama's own client library has types for, and means what was asked.

use anyhow::Result;
use serde_json::{Value, json};

use crate::types::{
    answer_a_call, asking, check_answers, check_embeddings, check_options, check_refused,
    check_server_refuses, check_tools, conversation, daemon, exchange, exchange_both, models, question,
    tools,
};

const KIND: &str = "ollama";
/// What every request has.
const PLAIN: [&str; 3] = ["model", "messages", "stream"];

#[tokio::test]
async fn nothing_is_sent_but_what_was_asked_for() -> Result<()> {
    let daemon = daemon(KIND).await?;
    let messages = question()["messages"].clone();
    let expected = json!({"model": "echo", "messages": messages, "stream": true});
    assert_eq!(exchange(&daemon, &question()).await?.sent, expected);
    Ok(())
}

#[tokio::test]
async fn every_option_is_taken_at_its_bounds_and_arrives_as_it_was_given() -> Result<()> {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]});
    let options = [
        (json!({"temperature": 0}), json!({"options": {"temperature": 0.0}})),
        (json!({"temperature": 2}), json!({"options": {"temperature": 2.0}})),
        (json!({"top_p": 0}), json!({"options": {"top_p": 0.0}})),
        (json!({"top_p": 1}), json!({"options": {"top_p": 1.0}})),
        (json!({"top_k": 40}), json!({"options": {"top_k": 40}})),
        (json!({"max_tokens": 4096}), json!({"options": {"num_predict": 4096}})),
        (json!({"stop": ["\n\n", "END"]}), json!({"options": {"stop": ["\n\n", "END"]}})),
        (json!({"seed": 7}), json!({"options": {"seed": 7}})),
        (json!({"response_format": {"type": "json_object"}}), json!({"format": "json"})),
        (json!({"response_format": {"type": "json_schema", "schema": schema}}), json!({"format": schema})),
    ];
    check_options(&daemon(KIND).await?, &PLAIN, &options).await
}

#[tokio::test]
async fn turns_of_every_role_are_taken_and_an_image_among_them() -> Result<()> {
    let daemon = daemon(KIND).await?;
    let call = json!({"id": "call_1", "function": {"name": "weather", "arguments": {"city": "Tromsø"}}});
    let expected = json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Where is this?", "images": ["iVBORw0KGgo="]},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "snow", "tool_name": "weather", "tool_call_id": "call_1"},
        {"role": "assistant", "content": "In Tromsø."},
        {"role": "user", "content": "Sure?"},
    ]);
    let request = asking(json!({"messages": conversation(), "tools": tools()}));
    for exchange in exchange_both(&daemon, &request).await? {
        assert_eq!(exchange.sent["messages"], expected);
    }
    Ok(())
}

#[tokio::test]
async fn tools_are_offered_called_and_answered_where_the_model_may_choose() -> Result<()> {
    let daemon = daemon(KIND).await?;
    let choices =
        [(Value::Null, Value::Null, Some("weather")), (json!("auto"), Value::Null, Some("weather"))];
    check_tools(&daemon, &tools(), &choices).await?;
    let without = exchange(&daemon, &asking(json!({"tools": tools(), "tool_choice": "none"}))).await?;
    assert_eq!((&without.sent["tools"], &without.done()["stop_reason"]), (&Value::Null, &json!("end")));
    let messages = answer_a_call(&daemon).await?.sent["messages"].clone();
    assert_eq!(messages[2]["tool_call_id"], messages[1]["tool_calls"][0]["id"]);
    Ok(())
}

#[tokio::test]
async fn reasoning_usage_and_a_length_that_is_reached_are_told_as_the_server_tells_them() -> Result<()> {
    check_answers(&daemon(KIND).await?).await
}

#[tokio::test]
async fn what_the_api_has_no_word_for_is_refused_by_name() -> Result<()> {
    let daemon = daemon(KIND).await?;
    check_refused(&daemon, &[json!({"grammar": "root ::= \"a\""}), json!({"image_token_budget": 280})])
        .await?;
    for choice in [json!("required"), json!({"type": "function", "function": {"name": "time"}})] {
        check_refused(&daemon, &[json!({"tool_choice": choice, "tools": tools()})]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn texts_are_embedded_and_models_listed() -> Result<()> {
    let daemon = daemon(KIND).await?;
    check_embeddings(&daemon).await?;
    assert_eq!(models(&daemon).await?, ["echo:latest", "echo", "thinker:latest", "thinker"]);
    Ok(())
}

#[tokio::test]
async fn the_server_refuses_what_has_no_type() -> Result<()> {
    let turn = json!({"role": "user", "content": "x"});
    let bodies = [
        json!({"model": "echo", "messages": [turn], "temperature": 1}),
        json!({"model": "echo", "messages": [turn], "options": {"temprature": 1}}),
        json!({"model": "echo", "messages": [turn], "options": {"seed": "7"}}),
        json!({"model": "echo", "messages": [{"role": "user", "content": "x", "mood": "good"}]}),
        json!({"model": "echo", "messages": [{"role": "user", "content": "x", "images": ["no base64!"]}]}),
    ];
    check_server_refuses("/api/chat", "", &bodies).await
}

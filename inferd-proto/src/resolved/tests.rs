use serde_json::{Value, json};

use super::*;
use crate::{AGENT_STEPS_MAX, NAME_CHARS_MAX};

fn resolve(fields: &Value) -> Result<Resolved, String> {
    let mut line = json!({"messages": [{"role": "user", "content": "hi"}]});
    line.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_value::<Request>(line).unwrap().resolve().map_err(|error| error.to_string())
}

#[test]
fn a_bare_request_asks_for_nothing_but_an_answer() {
    let resolved = resolve(&json!({})).unwrap();
    let expected = Resolved { messages: resolved.messages.clone(), stream: true, ..Resolved::default() };
    assert_eq!(resolved, expected);
    assert_eq!(resolved.priority, Priority::Normal);
}

#[test]
fn each_limit_is_accepted_at_its_edge() {
    for fields in [
        json!({"temperature": 0, "top_p": 0, "top_k": 0, "max_tokens": 1}),
        json!({"temperature": 2, "top_p": 1, "max_tokens": u32::MAX}),
        json!({"stop": vec!["x"; STOP_MAX]}),
        json!({"image_token_budget": 1120}),
        json!({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "auto"}),
        json!({"deadline_ms": 0, "max_wait_ms": u64::MAX}),
        json!({"agent": {"max_steps": 1}}),
        json!({"agent": {"max_steps": AGENT_STEPS_MAX, "room": "é".repeat(NAME_CHARS_MAX)}}),
        json!({"agent": null}),
    ] {
        assert!(resolve(&fields).is_ok(), "{fields}");
    }
}

#[test]
fn each_rule_that_is_broken_names_its_field_and_what_was_expected() {
    let said = [
        json!({"temperature": 2.01}),
        json!({"temperature": -0.1}),
        json!({"top_p": 1.5}),
        json!({"max_tokens": 0}),
        json!({"stop": vec!["x"; STOP_MAX + 1]}),
        json!({"image_token_budget": 100}),
        json!({"tool_choice": "auto"}),
        json!({"agent": {"server": "Prod"}}),
        json!({"agent": {"server": "a__b"}}),
        json!({"agent": {"room": ""}}),
        json!({"agent": {"thread": "t".repeat(NAME_CHARS_MAX + 1)}}),
        json!({"agent": {"max_steps": 0}}),
        json!({"agent": {"max_steps": AGENT_STEPS_MAX + 1}}),
        json!({"agent": {}, "tools": [{"type": "function", "function": {"name": "f"}}]}),
        json!({"agent": {}, "tool_choice": "auto"}),
        json!({"messages": []}),
        json!({"messages": [{"role": "user", "content": []}]}),
        json!({"messages": [{"role": "tool", "content": "4"}]}),
        json!({"messages": [{"role": "user", "content": "x", "tool_call_id": "c"}]}),
        json!({"messages": [{"role": "user", "content": "x", "tool_calls": [
            {"id": "c", "function": {"name": "f", "arguments": "{}"}}]}]}),
        json!({"messages": [{"role": "user", "content": [{"type": "image", "mime": "text/html", "data": ""}]}]}),
    ]
    .map(|fields| resolve(&fields).unwrap_err());
    insta::assert_debug_snapshot!(said);
}

#[test]
fn additive_is_what_uses_a_field_that_v1_did_not_have() {
    let v1 = json!({
        "id": "x", "temperature": 1, "top_p": 1, "top_k": 1, "max_tokens": 1, "stream": false, "grammar": "g",
        "image_token_budget": 70,
    });
    assert!(!resolve(&v1).unwrap().additive);
    for fields in [
        json!({"model": "m"}),
        json!({"stop": ["x"]}),
        json!({"seed": 1}),
        json!({"response_format": {"type": "json_object"}}),
        json!({"tools": [{"type": "function", "function": {"name": "f"}}]}),
        json!({"priority": "normal"}),
        json!({"max_wait_ms": 1}),
        json!({"deadline_ms": 1}),
        json!({"progress": false}),
        json!({"agent": {}}),
        json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]}),
        json!({"messages": [{"role": "tool", "content": "4", "tool_call_id": "c"}]}),
    ] {
        assert!(resolve(&fields).unwrap().additive, "{fields}");
    }
}

#[test]
fn an_agent_turn_is_what_was_asked_for_and_nothing_is_made_up() {
    let turn = |agent| resolve(&json!({ "agent": agent })).unwrap().agent.map(|turn| *turn);
    assert_eq!(turn(json!({})), Some(AgentTurn::default()));
    assert_eq!(turn(Value::Null), None);
    let whole = json!({"server": "prod", "room": "r 1", "thread": "t", "max_steps": 3, "later": true});
    let expected = AgentTurn {
        server: Some("prod".to_owned()),
        room: Some("r 1".to_owned()),
        thread: Some("t".to_owned()),
        max_steps: Some(3),
    };
    assert_eq!(turn(whole), Some(expected));
}

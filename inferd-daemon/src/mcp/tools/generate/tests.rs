use std::collections::BTreeSet;

use inferd_proto::{AgentRequest, Priority, ResponseFormat, ToolChoice, ToolMode};

use super::*;

#[test]
fn every_field_of_a_request_can_be_given() {
    let all = Request {
        id: "1".to_owned(),
        messages: vec![said_by(Role::User, "hi".to_owned())],
        temperature: Some(0.0),
        top_p: Some(0.0),
        top_k: Some(0),
        max_tokens: Some(1),
        stream: Some(true),
        image_token_budget: Some(70),
        grammar: "g".to_owned(),
        model: Some("m".to_owned()),
        stop: vec![".".to_owned()],
        seed: Some(0),
        response_format: Some(ResponseFormat::JsonObject),
        tools: vec![
            serde_json::from_value(json!({ "type": "function", "function": { "name": "f" } })).unwrap(),
        ],
        tool_choice: Some(ToolChoice::Mode(ToolMode::Auto)),
        priority: Some(Priority::Batch),
        max_wait_ms: Some(1),
        deadline_ms: Some(1),
        progress: Some(true),
        agent: Some(AgentRequest::default()),
    };
    let on_the_wire = serde_json::to_value(all).unwrap();
    // What the call itself says, and agent turns, which are a tool of their own.
    let apart = ["id", "stream", "progress", "agent"];
    let wire: BTreeSet<_> = on_the_wire
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .filter(|name| !apart.contains(name))
        .collect();
    let input = input();
    let own = ["prompt", "system"];
    let offered: BTreeSet<_> = input["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .filter(|name| !own.contains(name))
        .collect();
    assert_eq!(offered, wire);
}

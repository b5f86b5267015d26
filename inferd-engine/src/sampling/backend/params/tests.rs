use inferd_proto::{FunctionCall, FunctionTag, ImageTokenBudget};
use serde_json::to_value;

use super::*;

fn message(role: Role, content: impl Into<Content>) -> Message {
    Message { role, content: content.into() }
}

fn call(id: &str, arguments: &str) -> ToolCall {
    let function = FunctionCall { name: "add".into(), arguments: arguments.into() };
    ToolCall { id: id.into(), r#type: FunctionTag::Function, function }
}

fn params(messages: Vec<Message>) -> Result<CreateMessageRequestParams, SamplingError> {
    of(
        Resolved { messages: messages.into(), ..Resolved::default() },
        &SamplingConfig::default(),
        Offer::default(),
    )
}

fn refusal(request: Resolved) -> String {
    let messages = [message(Role::User, "why?")].into();
    let messages = if request.messages.is_empty() { messages } else { request.messages.clone() };
    let offer = Offer { available: true, tools: true };
    of(Resolved { messages, ..request }, &SamplingConfig::default(), offer).unwrap_err().to_string()
}

#[test]
fn images_and_tool_calls_keep_their_places() {
    let blocks = vec![
        Block::Text { text: "what is this?".into() },
        Block::Image { mime: "image/png".into(), data: "aGk=".into() },
    ];
    let messages = vec![
        message(Role::User, blocks),
        message(Role::Assistant, Content::calling("", vec![call("1", "{\"a\":2}"), call("2", " ")])),
        message(Role::Tool, Content::answering("1", "one")),
        message(Role::Tool, Content::answering("2", "two")),
        message(Role::User, "thanks"),
    ];
    let result = |id, text| json!({"type": "tool_result", "toolUseId": id, "content": [{"type": "text", "text": text}]});
    assert_eq!(
        to_value(params(messages).unwrap().messages).unwrap(),
        json!([
            {"role": "user", "content": [
                {"type": "text", "text": "what is this?"},
                {"type": "image", "mimeType": "image/png", "data": "aGk="},
            ]},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "1", "name": "add", "input": {"a": 2}},
                {"type": "tool_use", "id": "2", "name": "add", "input": {}},
            ]},
            {"role": "user", "content": [result("1", "one"), result("2", "two")]},
            {"role": "user", "content": {"type": "text", "text": "thanks"}},
        ])
    );
}

#[test]
fn what_a_peer_cannot_be_asked_is_refused_by_name() {
    let dangling = vec![message(Role::Tool, Content::answering("9", "x"))];
    let odd = vec![message(Role::Assistant, Content::calling("", vec![call("1", "[1]")]))];
    let tool = |parameters| {
        serde_json::from_value::<Vec<OurTool>>(
            json!([{"type": "function", "function": {"name": "add", "parameters": parameters}}]),
        )
        .unwrap()
    };
    let choice = serde_json::from_value(json!({"type": "function", "function": {"name": "no"}})).unwrap();
    for (request, expected) in [
        (Resolved { grammar: Some("root".into()), ..Resolved::default() }, "grammar: "),
        (
            Resolved { image_token_budget: ImageTokenBudget::new(70), ..Resolved::default() },
            "image_token_budget: ",
        ),
        (Resolved { messages: [message(Role::System, "x")].into(), ..Resolved::default() }, "messages: "),
        (Resolved { messages: dangling.into(), ..Resolved::default() }, "messages: "),
        (Resolved { messages: odd.into(), ..Resolved::default() }, "tool_calls: the arguments of 1"),
        (Resolved { tools: tool(json!([])), ..Resolved::default() }, "tools: the parameters of add"),
        (
            Resolved { tools: tool(json!({})), tool_choice: Some(choice), ..Resolved::default() },
            "tool_choice: ",
        ),
    ] {
        let refusal = refusal(request);
        assert!(refusal.starts_with(expected), "{refusal}");
    }
}

#[test]
fn what_is_not_asked_for_is_not_sent() {
    let params = params(vec![message(Role::User, "why?")]).unwrap();
    let sent = to_value(params).unwrap();
    let keys: Vec<_> = sent.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["maxTokens", "messages", "modelPreferences"]);
}

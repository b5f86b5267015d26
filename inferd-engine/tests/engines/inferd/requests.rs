//! What is sent.

use inferd_proto::{
    Block, Content, Function, ImageTokenBudget, Message, Priority, Resolved, ResponseFormat, Role, Tool,
    ToolChoice, ToolMode,
};

use super::*;

/// The lines that a new connection carries for `request`.
async fn lines(request: Resolved) -> String {
    let upstream = daemon([says(vec![done("")])]).await;
    let mut config = config(&upstream);
    config.api_key = Some(KEY.into());
    let engine = Inferd::new(config).expect("a good configuration");
    answered(&engine, request).await;
    upstream.requests().iter().map(|line| String::from_utf8_lossy(&line.body).into_owned()).collect()
}

#[tokio::test]
async fn a_plain_question_goes_behind_key_and_hello_without_what_it_was_not_given() {
    insta::assert_snapshot!(lines(question(true)).await, @r#"
    {"type":"auth","key":"my-own-key-71"}
    {"type":"hello"}
    {"id":"0","messages":[{"role":"user","content":"why?"}],"progress":true}
    "#);
}

#[tokio::test]
async fn every_option_is_passed_on_but_what_is_kept_on_this_side() {
    let tool = Tool::Function {
        function: Function {
            name: "look".into(),
            description: Some("looks".into()),
            parameters: Some(json!({"type": "object"})),
            strict: Some(true),
        },
    };
    let request = Resolved {
        id: "the caller's".into(),
        temperature: Some(0.7),
        top_p: Some(0.9),
        top_k: Some(40),
        max_tokens: Some(300),
        image_token_budget: ImageTokenBudget::new(280),
        grammar: Some("root ::= \"a\"".into()),
        model: Some("m".into()),
        stop: vec!["\n".into()],
        seed: Some(-7),
        response_format: Some(ResponseFormat::JsonSchema { schema: json!({"type": "object"}) }),
        tools: vec![tool],
        tool_choice: Some(ToolChoice::Mode(ToolMode::Required)),
        priority: Priority::Batch,
        max_wait: Some(Duration::from_secs(1)),
        deadline: Some(Duration::from_secs(2)),
        progress: false,
        additive: true,
        ..question(false)
    };
    insta::assert_snapshot!(lines(request).await, @r#"
    {"type":"auth","key":"my-own-key-71"}
    {"type":"hello"}
    {"id":"0","messages":[{"role":"user","content":"why?"}],"temperature":0.7,"top_p":0.9,"top_k":40,"max_tokens":300,"image_token_budget":280,"grammar":"root ::= \"a\"","model":"m","stop":["\n"],"seed":-7,"response_format":{"type":"json_schema","schema":{"type":"object"}},"tools":[{"type":"function","function":{"name":"look","description":"looks","parameters":{"type":"object"},"strict":true}}],"tool_choice":"required","priority":"batch","progress":true}
    "#);
}

#[tokio::test]
async fn a_conversation_with_images_and_tools_keeps_its_shape() {
    let call = call("c1", "look", "{\"at\":1}");
    let image = vec![
        Block::Text { text: "what is".into() },
        Block::Image { mime: "image/png".into(), data: "aGk=".into() },
    ];
    let messages = vec![
        Message { role: Role::System, content: "be brief".into() },
        Message { role: Role::User, content: image.into() },
        Message { role: Role::Assistant, content: Content::calling("", vec![call]) },
        Message { role: Role::Tool, content: Content::answering("c1", "4") },
    ];
    insta::assert_snapshot!(lines(Resolved { messages: messages.into(), ..question(true) }).await, @r#"
    {"type":"auth","key":"my-own-key-71"}
    {"type":"hello"}
    {"id":"0","messages":[{"role":"system","content":"be brief"},{"role":"user","content":[{"type":"text","text":"what is"},{"type":"image","mime":"image/png","data":"aGk="}]},{"role":"assistant","content":"","tool_calls":[{"id":"c1","type":"function","function":{"name":"look","arguments":"{\"at\":1}"}}]},{"role":"tool","content":"4","tool_call_id":"c1"}],"progress":true}
    "#);
}

#[tokio::test]
async fn only_a_short_answer_that_nobody_wants_streamed_comes_in_one_piece() {
    for (stream, max_tokens, asked) in [
        (true, Some(1), None),
        (false, None, None),
        (false, Some(257), None),
        (false, Some(256), Some(false)),
    ] {
        let lines = lines(Resolved { max_tokens, ..question(stream) }).await;
        let request: Value = serde_json::from_str(lines.lines().last().expect("a request")).expect("JSON");
        assert_eq!(request.get("stream"), asked.map(Value::Bool).as_ref(), "{stream} {max_tokens:?}");
    }
}

#[tokio::test]
async fn a_request_that_no_daemon_takes_is_not_sent() {
    let upstream = daemon([says(vec![done("")])]).await;
    let messages = vec![Message { role: Role::User, content: "x".repeat(64 << 20).into() }];
    let request = Resolved { messages: messages.into(), ..question(true) };
    assert_eq!(
        refusal(&engine(&upstream), request).await,
        GenerateError::InvalidRequest("the request exceeds 67108864 bytes".into())
    );
    assert_eq!(upstream.counts().accepted, 0);
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    let new = |address| Inferd::new(InferdConfig::new("lane", address)).err().map(|error| error.to_string());
    let tcp = |place: &str| new(InferdAddress::Tcp(place.into()));
    assert_eq!(tcp("localhost:47321"), None);
    assert_eq!(tcp("[::1]:1"), None);
    for place in ["", "localhost", ":80", "host:http", "host:70000"] {
        assert_eq!(tcp(place).as_deref(), Some("address: expected a local socket or host:port"), "{place}");
    }
    let mut config = InferdConfig::new("lane", InferdAddress::Tcp("localhost:1".into()));
    config.api_key = Some("k".repeat(4096).into());
    let error = Inferd::new(config).err().map(|error| error.to_string());
    assert_eq!(error.as_deref(), Some("api key: expected at most 4096 bytes with what stands around it"));
}

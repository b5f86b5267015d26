use super::*;
use crate::{Body, Role, ServersRequest, ToolsRequest};

/// What a line is answered with when it is rejected: id and message.
fn rejected(line: &str) -> (String, String) {
    let rejected = ClientFrame::parse(line.as_bytes()).unwrap_err();
    assert_eq!(rejected.error.to_error_code(), crate::ErrorCode::InvalidRequest);
    (rejected.id, rejected.error.to_string())
}

#[test]
fn a_line_without_a_type_is_a_request() {
    let line = br#"{"id":"r","messages":[{"role":"user","content":"hi"}],"future":{"a":[1]}}"#;
    let ClientFrame::Request(request) = ClientFrame::parse(line).unwrap() else { panic!("not a request") };
    assert_eq!(request.id, "r");
    assert_eq!(request.messages[0].role, Role::User);
    assert_eq!(request.messages[0].content, "hi".into());
}

#[test]
fn a_type_inside_the_conversation_does_not_decide_the_kind() {
    let line = br#"{"messages":[{"role":"user","content":[{"type":"text","text":"cancel"}]}]}"#;
    let ClientFrame::Request(request) = ClientFrame::parse(line).unwrap() else { panic!("not a request") };
    assert!(matches!(&request.messages[0].content.body, Body::Blocks(blocks) if blocks.len() == 1));
}

#[test]
fn each_type_is_read() {
    let kind = |line: &str| ClientFrame::parse(line.as_bytes()).unwrap();
    assert!(matches!(kind(r#"{"type":"request","messages":[]}"#), ClientFrame::Request(_)));
    assert_eq!(kind(r#"{"id":"a","type":"cancel"}"#), ClientFrame::Cancel { id: "a".into() });
    assert_eq!(kind(r#"{"type":"hello","extra":1}"#), ClientFrame::Hello);
    assert!(matches!(kind(r#"{"type":"embed","input":["x"]}"#), ClientFrame::Embed(_)));
    assert_eq!(
        kind(r#"{"type":"servers","id":"s"}"#),
        ClientFrame::Servers(ServersRequest { id: "s".into() })
    );
    assert_eq!(
        kind(r#"{"type":"tools","server":"x"}"#),
        ClientFrame::Tools(ToolsRequest { id: String::new(), server: Some("x".into()) })
    );
    let call = CallRequest { id: "c".into(), tool: "x::y".into(), ..CallRequest::default() };
    assert_eq!(kind(r#"{"type":"call","id":"c","tool":"x::y"}"#), ClientFrame::Call(call));
    assert_eq!(kind(r#"{"type":"auth","key":"k"}"#), ClientFrame::Auth(Auth { key: "k".into() }));
}

#[test]
fn a_key_is_never_shown() {
    assert_eq!(format!("{:?}", Auth { key: "secret".into() }), "Auth { .. }");
}

#[test]
fn a_rejection_names_the_field_and_keeps_the_id() {
    insta::assert_debug_snapshot!([
        rejected(r#"{"id":"a","messages":[{"role":"user","content":"x"}],"temperature":"hot"}"#),
        rejected(r#"{"temperature":"hot","messages":[],"id":"late"}"#),
        rejected(r#"{"id":"b","messages":[{"role":"usr","content":"x"}]}"#),
        rejected(r#"{"id":"c","messages":[{"role":"user","content":5}]}"#),
        rejected(r#"{"id":"d","messages":[{"role":"user"}]}"#),
        rejected(r#"{"id":"e","max_tokens":-1}"#),
        rejected(r#"{"id":"f","messages":[{"role":"user","content":"cut"#),
        rejected(r#"{"id":"g","type":"teleport"}"#),
        rejected(r#"{"id":"h","type":"embed"}"#),
        rejected(r#"{"type":"servers","id":5}"#),
        rejected(r#"{"id":"h3","type":"tools","server":["x"]}"#),
        rejected(r#"{"id":"h4","type":"call"}"#),
        rejected(r#"{"id":"h5","type":"call","tool":"a::b","arguments":[1]}"#),
        rejected(r#"{"id":"h6","messages":[],"agent":{"max_steps":-1}}"#),
        rejected(r#"{"id":"h7","messages":[],"agent":"prod"}"#),
        rejected(r#"{"type":5,"id":"n","messages":[]}"#),
        rejected(r#"{"id":"o","type":"hello""#),
        rejected(r#"{"id":5,"messages":[]}"#),
        rejected(r#"["not","an","object"]"#),
        rejected("hello"),
        rejected(r#"{"id":"i"} trailing"#),
    ]);
}

#[test]
fn bytes_that_are_not_utf8_are_rejected_with_the_id() {
    let line = b"{\"id\":\"u\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}";
    assert_eq!(ClientFrame::parse(line).unwrap_err().id, "u");
}

#[test]
fn a_long_quoted_value_is_cut_on_a_character() {
    let line = format!(r#"{{"temperature":"{}"}}"#, "é".repeat(10_000));
    assert_eq!(rejected(&line).1.chars().count(), REASON_CHARS_MAX + 1);
}

//! What is sent, and what is refused instead.

use inferd_proto::{Block, Content, EmbedRequest, ImageTokenBudget, Message, Resolved, ResponseFormat, Role};

use super::*;

/// The body that `request` becomes.
async fn body(request: Resolved) -> String {
    asked::body(&Anthropic, request).await
}

fn talk(messages: impl IntoIterator<Item = (Role, Content)>) -> Resolved {
    let messages = messages.into_iter().map(|(role, content)| Message { role, content }).collect();
    Resolved { messages, ..question(true) }
}

fn text(text: &str) -> Block {
    Block::Text { text: text.into() }
}

fn image(mime: &str) -> Block {
    Block::Image { mime: mime.into(), data: "aGk=".into() }
}

#[tokio::test]
async fn a_plain_question_sends_nothing_it_was_not_given_but_a_limit() {
    insta::assert_snapshot!(body(question(true)).await);
}

#[tokio::test]
async fn every_option_is_sent_under_its_own_name() {
    let tool = json!({"type": "function", "function": {
        "name": "look", "description": "looks", "parameters": {"type": "object", "properties": {}}, "strict": true
    }});
    let bare = json!({"type": "function", "function": {"name": "rest"}});
    let request = asked::with(&json!({
        "model": "other", "temperature": 0.5, "top_p": 0.9, "top_k": 40, "max_tokens": 7,
        "stop": ["\n", "END"], "tools": [tool, bare],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "response_format": {"type": "json_schema", "schema": {"type": "object"}},
        "priority": "batch", "max_wait_ms": 5, "deadline_ms": 6, "progress": true
    }));
    insta::assert_snapshot!(body(request).await);
}

#[tokio::test]
async fn every_freedom_in_calling_tools_has_its_name() {
    for (ours, theirs) in [("auto", "auto"), ("required", "any"), ("none", "none")] {
        let tools = json!([{"type": "function", "function": {"name": "look"}}]);
        let request = asked::with(&json!({"tool_choice": ours, "tools": tools}));
        let sent = asked::sent(&Anthropic, request).await.json();
        assert_eq!(sent["tool_choice"], json!({"type": theirs}));
    }
}

#[tokio::test]
async fn a_conversation_with_images_and_tools_becomes_turns_of_two() {
    let calls = vec![call("toolu_1", "look", "{\"at\": \"moon\"}"), call("toolu_2", "rest", "")];
    insta::assert_snapshot!(
        body(talk([
            (Role::System, "Be brief.".into()),
            (Role::User, vec![text("What is"), image("image/png"), text(" \n"), text("this?")].into()),
            (Role::Assistant, Content::calling("\n", calls)),
            (Role::Tool, Content::answering("toolu_1", "a rock")),
            (Role::User, "And?".into()),
            (
                Role::Tool,
                Content {
                    tool_call_id: Some("toolu_2".into()),
                    ..vec![text("see"), image("image/webp")].into()
                },
            ),
            (Role::Assistant, Content::calling("I looked.", vec![call("toolu_3", "look", "{}")])),
            (Role::Tool, Content::answering("toolu_3", "")),
        ]))
        .await
    );
}

#[tokio::test]
async fn arguments_are_sent_as_the_model_wrote_them() {
    let arguments = "{ \"z\": 0.10, \"a\": 123456789012345678901234567890 }";
    let request = talk([
        (Role::User, "hi".into()),
        (Role::Assistant, Content::calling("", vec![call("t", "f", &format!(" {arguments}\n"))])),
        (Role::Tool, Content::answering("t", "x")),
    ]);
    let sent = String::from_utf8(asked::sent(&Anthropic, request).await.body).expect("text");
    assert!(sent.contains(&format!("\"input\":{arguments}}}")), "{sent}");
}

#[tokio::test]
async fn instructions_are_hoisted_in_their_order_and_one_speakers_messages_are_one_turn() {
    insta::assert_snapshot!(
        body(talk([
            (Role::System, "Be brief.".into()),
            (Role::User, "one".into()),
            (Role::System, vec![text("Be kind."), text("")].into()),
            (Role::User, "two".into()),
            (Role::Assistant, "three".into()),
            (Role::System, "".into()),
            (Role::Assistant, "four".into()),
        ]))
        .await
    );
}

#[tokio::test]
async fn what_the_api_cannot_express_is_refused_by_name_before_anything_is_sent() {
    let ask = || question(true);
    for (request, expected) in [
        (Resolved { temperature: Some(1.01), ..ask() }, "temperature: backend lane takes at most 1"),
        (Resolved { seed: Some(1), ..ask() }, "seed: backend lane does not take it"),
        (Resolved { grammar: Some("x".into()), ..ask() }, "grammar: backend lane does not take it"),
        (
            Resolved { image_token_budget: ImageTokenBudget::new(70), ..ask() },
            "image_token_budget: backend lane does not take it",
        ),
        (
            Resolved { response_format: Some(ResponseFormat::JsonObject), ..ask() },
            "response_format: backend lane takes json_schema only",
        ),
    ] {
        assert_eq!(asked::unsent(&Anthropic, request).await, expected);
    }
    assert!(body(Resolved { temperature: Some(1.0), ..ask() }).await.contains("\"temperature\": 1.0"));
}

#[tokio::test]
async fn a_message_the_api_would_not_take_is_refused_by_its_place() {
    let hi = || (Role::User, Content::from("hi"));
    let bad = |arguments: &str| Content::calling("", vec![call("x", "f", arguments)]);
    let images = "messages[1].content: backend lane takes images from the user and from tools only";
    let object = "messages[1].tool_calls[0].function.arguments: backend lane takes a JSON object only";
    let empty = "messages[1].content: backend lane takes no message without content";
    for (role, content, expected) in [
        (Role::System, vec![image("image/png")].into(), images),
        (Role::Assistant, vec![image("image/png")].into(), images),
        (
            Role::User,
            vec![image("image/tiff")].into(),
            "messages[1].content: backend lane takes images in jpeg, png, gif and webp only",
        ),
        (Role::Assistant, bad("{\"a\":"), object),
        (Role::Assistant, bad("[1]"), object),
        (Role::Assistant, bad("{} {}"), object),
        (Role::User, "".into(), empty),
        (Role::Assistant, " \n".into(), empty),
        (Role::User, vec![text("")].into(), empty),
    ] {
        assert_eq!(asked::unsent(&Anthropic, talk([hi(), (role, content)])).await, expected);
    }
    let alone = asked::unsent(&Anthropic, talk([(Role::System, "Be brief.".into())])).await;
    assert_eq!(alone, "messages: backend lane takes no instructions without a message beside them");
}

#[tokio::test]
async fn a_short_answer_that_is_not_streamed_is_asked_for_whole_and_a_long_one_is_streamed() {
    let answer =
        json!({"type": "message", "content": [{"type": "text", "text": "x"}], "stop_reason": "end_turn"});
    asked::only_long_answers_are_streamed(&Anthropic, &answer).await;
}

#[tokio::test]
async fn the_head_names_the_key_and_the_version() {
    let request = asked::sent(&Anthropic, question(true)).await;
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/v1/messages"));
    assert_eq!(request.header("x-api-key"), Some(KEY));
    assert_eq!(request.header("authorization"), None);
    assert_eq!(request.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(request.header("content-type"), Some("application/json"));
}

fn page(names: &[&str], has_more: bool) -> Reply {
    let data: Vec<Value> = names.iter().map(|name| json!({"type": "model", "id": name})).collect();
    let last = names.last();
    Reply::json(200, &json!({"data": data, "first_id": names.first(), "last_id": last, "has_more": has_more}))
}

#[tokio::test]
async fn models_are_asked_for_page_by_page_and_listed_once() {
    let upstream =
        Upstream::start([page(&["b", "a/2"], true), page(&["b", "c"], false), page(&["?"], true)]).await;
    assert_eq!(engine(&upstream).models().await.expect("a list"), ["b", "a/2", "c"]);
    let asked: Vec<_> = upstream.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(asked, ["/v1/models?limit=1000", "/v1/models?limit=1000&after_id=a%2F2"]);
}

#[tokio::test]
async fn a_list_without_end_and_a_page_that_leads_to_itself_are_left() {
    let endless = Upstream::start((0..30).map(|at| page(&[&format!("m{at}")], true))).await;
    assert_eq!(engine(&endless).models().await.expect("a list").len(), 10);
    let circle = Upstream::start([page(&["a"], true)]).await;
    assert_eq!(engine(&circle).models().await.expect("a list"), ["a"]);
    assert_eq!(circle.counts().requests, 2);
}

#[tokio::test]
async fn a_list_in_openais_way_is_understood() {
    let list = json!({"object": "list", "data": [{"id": "b", "object": "model"}, {"id": "a"}]});
    let upstream = Upstream::start([Reply::json(200, &list)]).await;
    assert_eq!(engine(&upstream).models().await.expect("a list"), ["b", "a"]);
}

#[tokio::test]
async fn there_are_no_embeddings() {
    let upstream = Upstream::start([Reply::status(200)]).await;
    let engine = engine(&upstream);
    assert!(!engine.capabilities().embed);
    let error = engine.embed(EmbedRequest::default()).await.expect_err("it is refused");
    assert_eq!(error, GenerateError::InvalidRequest("backend lane makes no embeddings".into()));
    assert_eq!(upstream.counts().accepted, 0);
}

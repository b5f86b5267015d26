//! What is sent.

use inferd_proto::{Block, Content, ImageTokenBudget, Message, Resolved, ResponseFormat, Role};

use super::*;

/// The body that `request` becomes.
async fn body(request: Resolved) -> String {
    asked::body(&OpenAi, request).await
}

fn message(role: Role, content: impl Into<Content>) -> Message {
    Message { role, content: content.into() }
}

#[tokio::test]
async fn a_plain_question_sends_nothing_it_was_not_given() {
    insta::assert_snapshot!(body(question(true)).await);
}

#[tokio::test]
async fn a_short_answer_that_is_not_streamed_is_asked_for_whole_and_a_long_one_is_streamed() {
    let answer = json!({"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]});
    for (sent, _) in asked::only_long_answers_are_streamed(&OpenAi, &answer).await {
        assert_eq!(sent.get("stream_options").is_some(), sent["stream"] == true, "{sent}");
    }
}

#[tokio::test]
async fn every_option_is_sent_under_its_own_name() {
    let tool = json!({"type": "function", "function": {
        "name": "look", "description": "looks", "parameters": {"type": "object"}, "strict": true
    }});
    let request = asked::with(&json!({
        "model": "other", "temperature": 0.5, "top_p": 0.9, "top_k": 40, "max_tokens": 7, "seed": -3,
        "stop": ["\n", "END"], "grammar": "root ::= \"x\"", "tools": [tool],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "response_format": {"type": "json_schema", "schema": {"type": "object"}},
        "priority": "batch", "max_wait_ms": 5, "deadline_ms": 6, "progress": true
    }));
    insta::assert_snapshot!(body(request).await);
}

#[tokio::test]
async fn any_json_object_is_asked_for_by_its_type_alone() {
    let request = Resolved { response_format: Some(ResponseFormat::JsonObject), ..question(true) };
    insta::assert_snapshot!(body(request).await);
}

#[tokio::test]
async fn a_conversation_with_images_and_tools_keeps_its_shape() {
    let call = call("call_7", "look", "{\"at\":\"moon\"}");
    let text = |text: &str| Block::Text { text: text.into() };
    let image = Block::Image { mime: "image/png".into(), data: "aGk=".into() };
    let messages = vec![
        message(Role::System, "Be brief."),
        message(Role::User, vec![text("What is"), image, text("this?")]),
        message(Role::User, vec![text("only"), text("text")]),
        message(Role::Assistant, Content::calling("", vec![call.clone()])),
        message(Role::Tool, Content::answering("call_7", "a rock")),
        message(Role::Assistant, Content::calling("I looked.", vec![call])),
    ];
    insta::assert_snapshot!(body(Resolved { messages: messages.into(), ..question(true) }).await);
}

#[tokio::test]
async fn the_head_names_host_length_and_key() {
    let upstream = Upstream::start([Reply::events([finish("stop").as_str(), "[DONE]"])]).await;
    answered(&*engine(&upstream), question(true)).await;
    let request = &upstream.requests()[0];
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(request.header("host"), Some(upstream.address().to_string().as_str()));
    assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("content-length"), Some(request.body.len().to_string().as_str()));
    assert_eq!(request.header("transfer-encoding"), None);
}

#[tokio::test]
async fn an_image_token_budget_is_refused_by_name() {
    let request = Resolved { image_token_budget: ImageTokenBudget::new(70), ..question(true) };
    let why = asked::unsent(&OpenAi, request).await;
    assert!(why.starts_with("image_token_budget: "), "{why}");
}

#[tokio::test]
async fn openai_itself_is_not_asked_for_what_it_has_no_name_for() {
    let engine = OpenAi.built(RemoteConfig::new("lane", "https://api.openai.com"));
    let cold = Resolved { top_k: Some(1), ..question(true) };
    let bound = Resolved { grammar: Some("root ::= \"x\"".into()), ..question(true) };
    for (request, field) in [(cold, "top_k"), (bound, "grammar")] {
        let error = refusal(&*engine, request).await;
        let expected = GenerateError::InvalidRequest(format!("{field}: backend lane does not take it"));
        assert_eq!(error, expected);
    }
}

#[tokio::test]
async fn without_any_model_named_the_first_that_generates_is_asked_for_and_remembered() {
    let list = Reply::json(
        200,
        &json!({"object": "list", "data": [{"id": "nomic-embed-text"}, {"id": "b"}, {"id": "a"}]}),
    );
    let answer = Reply::events([finish("stop").as_str(), "[DONE]"]);
    let down = Reply::json(500, &json!({"error": "starting"}));
    let upstream = Upstream::start([down, list, answer]).await;
    let engine = OpenAi.built(RemoteConfig::new("lane", upstream.url()));
    assert!(
        engine.generate(question(true)).await.is_err(),
        "the list cannot be had, and that is not remembered"
    );
    for _ in 0..2 {
        answered(&*engine, question(true)).await;
    }
    let asked: Vec<_> = upstream.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(asked, ["/v1/models", "/v1/models", "/v1/chat/completions", "/v1/chat/completions"]);
    assert_eq!(upstream.requests()[3].json()["model"], "b");
}

#[tokio::test]
async fn a_default_model_that_is_gone_is_asked_for_no_more() {
    let list = |name: &str| Reply::json(200, &json!({"data": [{"id": name}]}));
    let gone = Reply::json(404, &json!({"error": {"message": "no such model"}}));
    let answer = Reply::events([finish("stop").as_str(), "[DONE]"]);
    let upstream = Upstream::start([list("old"), gone, list("new"), answer]).await;
    let engine = OpenAi.built(RemoteConfig::new("lane", upstream.url()));
    let error = engine.generate(question(true)).await.err();
    assert_eq!(error, Some(GenerateError::ModelNotFound("old".into())));
    answered(&*engine, question(true)).await;
    assert_eq!(upstream.requests()[3].json()["model"], "new");
}

#[tokio::test]
async fn models_keep_their_order_and_are_asked_afresh() {
    let list = |names: &[&str]| {
        let data: Vec<Value> = names.iter().map(|name| json!({"id": name, "owned_by": "x"})).collect();
        Reply::json(200, &json!({"data": data}))
    };
    let upstream = Upstream::start([list(&["b", "a", "b"]), list(&["c"])]).await;
    let engine = engine(&upstream);
    assert_eq!(engine.models().await.expect("a list"), ["b", "a"]);
    assert_eq!(engine.models().await.expect("a list"), ["c"]);
}

#[tokio::test]
async fn vectors_come_back_in_the_order_of_the_texts() {
    let vectors = json!({
        "model": "e-1", "usage": {"prompt_tokens": 9, "total_tokens": 9},
        "data": [{"index": 1, "embedding": [3.0, 4.5]}, {"index": 0, "embedding": [1.0, -2.0]}]
    });
    let sent = asked::vectors_keep_their_order(&OpenAi, &vectors).await;
    assert_eq!(sent.target, "/v1/embeddings");
    let expected =
        json!({"model": "m", "input": ["one", "two"], "encoding_format": "float", "dimensions": 2});
    assert_eq!(sent.json(), expected);
}

#[tokio::test]
async fn vectors_that_do_not_match_the_texts_are_no_answer() {
    let wrong = [json!([]), json!([{"embedding": [1]}, {"embedding": [1, 2]}]), json!("none")];
    asked::those_are_no_vectors(&OpenAi, wrong.map(|data| json!({"data": data}))).await;
}

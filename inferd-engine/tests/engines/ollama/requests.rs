//! What is sent.

use inferd_engine::ollama::{self, OllamaConfig};
use inferd_proto::{Block, Content, EmbedRequest, ImageTokenBudget, Message, Resolved, ResponseFormat, Role};

use super::*;

/// The body that `request` becomes.
async fn body(request: Resolved) -> Value {
    asked::sent(&Ollama, request).await.json()
}

/// The body that a question with these fields becomes.
async fn body_with(fields: &Value) -> Value {
    body(asked::with(fields)).await
}

/// Why `request` is refused before anything is sent.
async fn refusal(request: Resolved) -> String {
    asked::unsent(&Ollama, request).await
}

fn tool(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "description": "d", "parameters": {"type": "object"}}})
}

#[tokio::test]
async fn a_plain_question_sends_nothing_it_was_not_given() {
    let messages = json!([{"role": "user", "content": "why?"}]);
    assert_eq!(body(question(true)).await, json!({"model": "m", "messages": messages, "stream": true}));
}

#[tokio::test]
async fn every_option_is_sent_under_ollamas_name_for_it() {
    let sent = body_with(&json!({
        "model": "other:7b", "temperature": 0.5, "top_p": 0.9, "top_k": 40, "max_tokens": 7, "seed": -3,
        "stop": ["\n", "END"], "tools": [tool("look")], "tool_choice": "auto",
        "response_format": {"type": "json_schema", "schema": {"type": "object"}},
        "priority": "batch", "max_wait_ms": 5, "deadline_ms": 6, "progress": true
    }))
    .await;
    let expected = json!({
        "model": "other:7b",
        "messages": [{"role": "user", "content": "why?"}],
        "stream": true,
        "options": {
            "temperature": 0.5, "top_p": 0.9, "top_k": 40, "num_predict": 7, "seed": -3, "stop": ["\n", "END"]
        },
        "tools": [tool("look")],
        "format": {"type": "object"}
    });
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn any_json_object_is_asked_for_by_a_word() {
    let request = Resolved { response_format: Some(ResponseFormat::JsonObject), ..question(true) };
    assert_eq!(body(request).await["format"], "json");
}

#[tokio::test]
async fn how_long_the_model_stays_goes_with_every_request() {
    let vectors = Reply::json(200, &json!({"embeddings": [[1.0]]}));
    let upstream = Upstream::start([Reply::lines([stop()]), vectors]).await;
    let config = OllamaConfig { keep_alive: Some("1h30m".into()), ..keyless(&upstream).into() };
    let engine = ollama::Ollama::new(config).expect("a good configuration");
    answered(&engine, question(true)).await;
    let texts = EmbedRequest { input: vec!["a".into()], ..EmbedRequest::default() };
    engine.embed(texts).await.expect("vectors");
    for request in upstream.requests() {
        assert_eq!(request.json()["keep_alive"], "1h30m", "{}", request.target);
    }
}

#[tokio::test]
async fn a_short_answer_that_is_not_streamed_is_asked_for_whole_and_a_long_one_is_streamed() {
    let answer: Value = serde_json::from_str(&stop()).expect("JSON");
    for (_, events) in asked::only_long_answers_are_streamed(&Ollama, &answer).await {
        assert_eq!(events, [done(StopReason::End, 11, 5)]);
    }
}

#[tokio::test]
async fn tools_are_offered_without_what_ollama_has_no_name_for_and_with_what_it_needs() {
    let tools = json!([{"type": "function", "function": {"name": "look", "strict": false}}]);
    let expected = json!([
        {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    ]);
    assert_eq!(body_with(&json!({"tools": tools})).await["tools"], expected);
}

#[tokio::test]
async fn a_choice_of_no_tool_offers_none() {
    let sent = body_with(&json!({"tools": [tool("look")], "tool_choice": "none"})).await;
    assert_eq!(sent.get("tools"), None);
}

#[tokio::test]
async fn a_conversation_with_images_and_tools_keeps_its_meaning() {
    let text = |text: &str| Block::Text { text: text.into() };
    let image = |data: &str| Block::Image { mime: "image/png".into(), data: data.into() };
    let message = |role, content: Content| Message { role, content };
    let messages = vec![
        message(Role::System, "Be brief.".into()),
        message(Role::User, vec![text("What is"), image("aGk="), text("this?"), image("aG8=")].into()),
        message(
            Role::Assistant,
            Content::calling(
                "",
                vec![call("call_0", "look", r#"{"z": 1.0, "at":"moon"}"#), call("call_1", "wait", " ")],
            ),
        ),
        message(Role::Tool, Content::answering("call_1", "waited")),
        message(Role::Tool, Content::answering("call_0", "a rock")),
        message(Role::Assistant, Content::calling("Again.", vec![call("call_0", "listen", "{}")])),
        message(Role::Tool, Content::answering("call_0", "silence")),
        message(Role::Tool, Content::answering("call_9", "lost")),
    ];
    let calls = |id: &str, name: &str, arguments: Value| json!({"id": id, "function": {"name": name, "arguments": arguments}});
    let answers = |id: &str, name: &str, text: &str| json!({"role": "tool", "content": text, "tool_name": name, "tool_call_id": id});
    let expected = json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is\nthis?", "images": ["aGk=", "aG8="]},
        {"role": "assistant", "content": "", "tool_calls": [
            calls("call_0", "look", json!({"at": "moon", "z": 1.0})), calls("call_1", "wait", json!({}))
        ]},
        answers("call_1", "wait", "waited"),
        answers("call_0", "look", "a rock"),
        {"role": "assistant", "content": "Again.", "tool_calls": [calls("call_0", "listen", json!({}))]},
        answers("call_0", "listen", "silence"),
        {"role": "tool", "content": "lost", "tool_call_id": "call_9"}
    ]);
    let request = Resolved { messages: messages.into(), ..question(true) };
    let sent = asked::sent(&Ollama, request).await;
    assert_eq!(sent.json()["messages"], expected);
    let sent = String::from_utf8_lossy(&sent.body);
    assert!(sent.contains(r#""arguments":{"z": 1.0, "at":"moon"}"#), "as the model wrote it: {sent}");
}

#[tokio::test]
async fn what_ollama_cannot_do_is_refused_by_name_before_anything_is_sent() {
    let budget = Resolved { image_token_budget: ImageTokenBudget::new(70), ..question(true) };
    assert_eq!(refusal(budget).await, "image_token_budget: backend lane does not take it");
    let named = json!({"type": "function", "function": {"name": "look"}});
    let mut strict = tool("look");
    strict["function"]["strict"] = json!(true);
    for (fields, field) in [
        (json!({"grammar": "root ::= \"x\""}), "grammar"),
        (json!({"tools": [tool("look")], "tool_choice": "required"}), "tool_choice"),
        (json!({"tools": [tool("look")], "tool_choice": named}), "tool_choice"),
        (json!({"tools": [tool("look"), strict]}), "tools.function.strict"),
    ] {
        assert_eq!(refusal(asked::with(&fields)).await, format!("{field}: backend lane does not take it"));
    }
    let schema = json!({"response_format": {"type": "json_schema", "schema": true}});
    assert_eq!(refusal(asked::with(&schema)).await, "response_format.schema: expected an object");
}

#[tokio::test]
async fn arguments_that_are_no_object_are_refused_by_name() {
    for arguments in ["{\"at\":", "[1]", "\"text\"", "null", "{} {}"] {
        let calls = vec![call("a", "f", "{}"), call("b", "g", arguments)];
        let said = Message { role: Role::User, content: "why?".into() };
        let calling = Message { role: Role::Assistant, content: Content::calling("", calls) };
        let request = Resolved { messages: [said, calling].into(), ..question(true) };
        let expected = "messages[1].tool_calls[1].function.arguments: expected a JSON object";
        assert_eq!(refusal(request).await, expected, "{arguments}");
    }
}

#[tokio::test]
async fn ollama_is_found_at_its_root_whichever_of_its_apis_the_url_names() {
    for (path, target) in [
        ("", "/api/chat"),
        ("/", "/api/chat"),
        ("/api", "/api/chat"),
        ("/api/", "/api/chat"),
        ("/v1", "/api/chat"),
        ("/at/home", "/at/home/api/chat"),
        ("/at/home/v1/", "/at/home/api/chat"),
    ] {
        let upstream = Upstream::start([Reply::lines([stop()])]).await;
        let mut config = keyed(&upstream);
        config.base_url.push_str(path);
        answered(&*Ollama.built(config), question(true)).await;
        let request = &upstream.requests()[0];
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", target), "{path}");
        assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    }
}

#[tokio::test]
async fn models_are_listed_under_every_name_they_answer_to() {
    let list = json!({"models": [
        {"name": "paraphrase:latest", "model": "paraphrase:latest", "capabilities": ["embedding"]},
        {"name": "qwen3:4b", "model": "qwen3:4b", "size": 1, "capabilities": ["completion", "tools"]},
        {"model": "llama3.1:latest", "details": {"family": "llama"}},
        {"name": "llama3.1:latest"},
        {}
    ]});
    let upstream =
        Upstream::start([Reply::json(200, &list), Reply::json(200, &json!({"models": null}))]).await;
    let engine = engine(&upstream);
    let names = engine.models().await.expect("a list");
    assert_eq!(names, ["qwen3:4b", "llama3.1:latest", "llama3.1", "paraphrase:latest", "paraphrase"]);
    assert_eq!(engine.models().await.expect("a list"), [""; 0]);
    assert_eq!(upstream.requests()[0].target, "/api/tags");
}

#[tokio::test]
async fn without_any_model_named_the_first_that_generates_is_asked_for() {
    let list = json!({"models": [
        {"name": "nomic-embed-text:latest"}, {"name": "other", "capabilities": ["embedding"]}, {"name": "b:1"}
    ]});
    let vectors = Reply::json(200, &json!({"embeddings": [[1.0]]}));
    let upstream = Upstream::start([Reply::json(200, &list), Reply::lines([stop()]), vectors]).await;
    let engine = Ollama.built(RemoteConfig::new("lane", upstream.url()));
    answered(&*engine, question(true)).await;
    let texts = EmbedRequest { input: vec!["a".into()], ..EmbedRequest::default() };
    engine.embed(texts).await.expect("vectors");
    let requests = upstream.requests();
    let asked: Vec<_> = requests.iter().map(|request| request.target.as_str()).collect();
    assert_eq!(asked, ["/api/tags", "/api/chat", "/api/embed"]);
    assert_eq!(requests[1].json()["model"], "b:1");
    assert_eq!(requests[2].json()["model"], "nomic-embed-text:latest");
}

#[tokio::test]
async fn texts_become_vectors_in_their_order_and_are_never_cut() {
    let vectors = json!({
        "model": "e-1", "embeddings": [[1.0, -2.0], [3.0, 4.5]], "total_duration": 7, "prompt_eval_count": 9
    });
    let sent = asked::vectors_keep_their_order(&Ollama, &vectors).await;
    assert_eq!(sent.target, "/api/embed");
    let expected = json!({"model": "m", "input": ["one", "two"], "truncate": false, "dimensions": 2});
    assert_eq!(sent.json(), expected);
}

#[tokio::test]
async fn vectors_that_do_not_match_the_texts_are_no_answer() {
    let wrong = [json!([]), json!([[1.0]]), json!([[1.0], [1.0, 2.0]]), json!("none")];
    asked::those_are_no_vectors(&Ollama, wrong.map(|embeddings| json!({"embeddings": embeddings}))).await;
}

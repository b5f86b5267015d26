//! The backend over a peer, or over a coordinator before one.

use futures_util::future::join_all;
use inferd_engine::sampling::{Offer, Patience, SamplingBackend, SamplingConfig, SamplingCoordinator};
use inferd_engine::testing::contract::question;
use inferd_engine::{Backend, Blame, GenerateError, TokenEvent};
use inferd_proto::{Message, Resolved, ResponseFormat, Role, StopReason, ToolCall, Usage};
use rmcp::model::ToolUseContent;
use serde_json::json;
use tokio::time::timeout;

use crate::told::outcome;

use super::*;

fn over(peer: &Arc<FakeSamplingClient>) -> SamplingBackend {
    SamplingBackend::new("peer", peer.clone())
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_one_token_and_its_end() {
    let peer = Arc::new(FakeSamplingClient::canned("because it is so"));
    let done = TokenEvent::Done {
        stop_reason: StopReason::End,
        usage: Usage { prompt_tokens: 1, completion_tokens: 4 },
        tool_calls: Vec::new(),
        model: Some("fake".into()),
    };
    let expected = vec![TokenEvent::Token("because it is so".into()), done];
    assert_eq!(outcome(&over(&peer), question(true)).await, Ok(expected));
}

#[tokio::test(start_paused = true)]
async fn a_request_becomes_a_call_and_its_system_messages_are_hoisted() {
    let peer = Arc::new(FakeSamplingClient::canned("x"));
    let message = |role, text: &str| Message { role, content: text.into() };
    let request = Resolved {
        messages: vec![
            message(Role::System, "be brief"),
            message(Role::User, "hi"),
            message(Role::System, "be kind"),
            message(Role::Assistant, "hello"),
            message(Role::User, "why?"),
        ]
        .into(),
        model: Some("claude".into()),
        temperature: Some(0.7),
        top_p: Some(0.5),
        seed: Some(7),
        stop: vec!["end".into()],
        caller: Caller { principal: Some("ann".into()), ..Caller::default() },
        ..question(true)
    };
    outcome(&over(&peer), request).await.expect("an answer");
    let call = &peer.calls()[0];
    assert_eq!(call.caller.principal.as_deref(), Some("ann"));
    assert_eq!(
        serde_json::to_value(&call.params).unwrap(),
        json!({
            "messages": [
                {"role": "user", "content": {"type": "text", "text": "hi"}},
                {"role": "assistant", "content": {"type": "text", "text": "hello"}},
                {"role": "user", "content": {"type": "text", "text": "why?"}},
            ],
            "systemPrompt": "be brief\n\nbe kind",
            "modelPreferences": {
                "hints": [{"name": "claude"}],
                "intelligencePriority": 0.7_f32, "speedPriority": 0.3_f32, "costPriority": 0.4_f32,
            },
            "maxTokens": 4096,
            "temperature": 0.7_f32,
            "stopSequences": ["end"],
            "metadata": {"top_p": 0.5, "seed": 7},
        })
    );
}

#[tokio::test(start_paused = true)]
async fn each_failure_blames_whom_it_should() {
    let code = |code| FakeAnswer::Error(SamplingError::said(code, "no"));
    for (fake, blame, text) in [
        (FakeAnswer::Refused, Blame::Caller, "the sampling peer refused: the user rejected the request"),
        (code(-32602), Blame::Caller, "the sampling peer failed: no (code -32602)"),
        (code(-32603), Blame::Lane, "the sampling peer failed: no (code -32603)"),
        (FakeAnswer::Transport, Blame::Lane, "the sampling peer was lost: the session ended"),
        (FakeAnswer::Never, Blame::Lane, "the sampling peer did not answer within 30s"),
        (FakeAnswer::Empty, Blame::Lane, "the sampling peer's answer is not understood: it holds no text"),
        (
            FakeAnswer::Malformed,
            Blame::Lane,
            "the sampling peer's answer is not understood: it is not the assistant's",
        ),
        (FakeAnswer::Error(SamplingError::NoPeer), Blame::Nobody, "backend is not ready"),
        (FakeAnswer::Error(SamplingError::ReEntry("x")), Blame::Nobody, "re-entry: x"),
        (
            FakeAnswer::Error(SamplingError::Busy),
            Blame::Rest(Some(ms(1000))),
            "busy: the sampling peer has too many unanswered calls",
        ),
    ] {
        let error = outcome(&over(&peer([fake])), question(true)).await.unwrap_err();
        assert_eq!((error.blame(), error.to_string()), (blame, text.to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_peer_it_is_not_ready() {
    let peer = Arc::new(FakeSamplingClient::canned("x"));
    let backend = over(&peer);
    assert!(backend.ready());
    peer.set_offer(Offer { available: false, tools: false });
    assert!(!backend.ready());
    assert_eq!(outcome(&backend, question(true)).await, Err(GenerateError::NotReady));
    assert!(peer.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn dropping_the_wait_takes_the_call_back() {
    for coordinated in [false, true] {
        let peer = peer([FakeAnswer::Never]);
        let client: Arc<dyn SamplingClient> =
            if coordinated { Arc::new(SamplingCoordinator::adaptive(peer.clone())) } else { peer.clone() };
        let backend = SamplingBackend::new("peer", client);
        assert!(timeout(ms(1000), backend.generate(question(true))).await.is_err());
        timeout(ms(10), peer.until_cancelled(1)).await.expect("within 10 ms");
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_peers_own_time_counts() {
    let peer = peer([echo(ms(29_000))]);
    // Gathering takes longer than the peer may.
    let coordinator = Arc::new(SamplingCoordinator::with_settings(peer.clone(), ms(40_000), 10));
    let backend = SamplingBackend::new("peer", coordinator);
    let (took, answered) = timed(outcome(&backend, question(true))).await;
    assert!(answered.is_ok(), "{answered:?}");
    assert_eq!(took, ms(69_000));
}

#[tokio::test(start_paused = true)]
async fn a_person_who_considers_is_waited_for() {
    let considered = || FakeAnswer::Progress(3, ms(20_000), Box::new(echo(ms(20_000))));
    let direct = SamplingBackend::new("peer", peer([considered()]));
    let coordinator = SamplingCoordinator::adaptive(peer([considered()]));
    let coordinated = SamplingBackend::new("peer", Arc::new(coordinator));
    for backend in [direct, coordinated] {
        assert!(outcome(&backend, question(true)).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stays_silent_is_given_up() {
    for (calls, gathering) in [(1, None), (1, Some(ms(20))), (2, Some(ms(20)))] {
        let peer = peer([FakeAnswer::Never]);
        let client: Arc<dyn SamplingClient> = match gathering {
            Some(_) => Arc::new(SamplingCoordinator::adaptive(peer.clone())),
            None => peer.clone(),
        };
        let patience = Patience { silence_max: ms(2000), ..Patience::default() };
        let config = SamplingConfig { patience, ..SamplingConfig::default() };
        let backend = SamplingBackend::with_config("peer", client, config);
        let (took, answers) = timed(join_all((0..calls).map(|_| outcome(&backend, question(true))))).await;
        for answered in answers {
            assert!(matches!(answered, Err(GenerateError::Unavailable(_))), "{answered:?}");
        }
        assert_eq!(took, ms(2000) + gathering.unwrap_or_default(), "from when it was asked");
        peer.until_cancelled(1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_came_from_its_peer_goes_to_another_lane() {
    let peer = Arc::new(FakeSamplingClient::canned("x").of_session("s1"));
    let caller = Caller { session: Some("s1".into()), ..Caller::default() };
    let error = outcome(&over(&peer), Resolved { caller, ..question(true) }).await.unwrap_err();
    assert!(matches!(error, GenerateError::Declined(_)), "{error}");
    assert_eq!(error.blame(), Blame::Nobody);
    assert!(peer.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_must_be_json_is_asked_for_alone_and_checked() {
    let format = Some(ResponseFormat::JsonObject);
    let request = || Resolved { response_format: format.clone(), ..question(true) };
    for (text, expected) in
        [("{\"a\":1}", Some("{\"a\":1}")), ("```json\n{}\n```", Some("{}")), ("[1]", None), ("sure!", None)]
    {
        let peer = Arc::new(FakeSamplingClient::canned(text));
        let answered = outcome(&over(&peer), request()).await;
        match expected {
            Some(json) => assert_eq!(answered.unwrap()[0], TokenEvent::Token(json.into())),
            None => assert_eq!(answered.unwrap_err().blame(), Blame::Lane),
        }
        assert!(peer.calls()[0].alone);
        assert!(peer.requests()[0].system_prompt.as_deref().unwrap().contains("JSON object"));
    }
}

#[tokio::test(start_paused = true)]
async fn tools_go_to_peers_that_take_them_and_their_calls_come_back() {
    let tools = serde_json::from_value(json!([
        {"type": "function", "function": {"name": "add", "description": "adds", "parameters": {"type": "object", "required": ["a"]}}},
        {"type": "function", "function": {"name": "other"}},
    ]));
    let tool_choice = serde_json::from_value(json!({"type": "function", "function": {"name": "add"}}));
    let request =
        Resolved { tools: tools.unwrap(), tool_choice: Some(tool_choice.unwrap()), ..question(true) };
    let call = SamplingMessageContentBlock::ToolUse(ToolUseContent::new(
        "t1",
        "add",
        json!({"a": 1}).as_object().unwrap().clone(),
    ));
    let result =
        CreateMessageResult::new(SamplingMessage::new(rmcp::model::Role::Assistant, call), "m".into());
    let peer = peer([FakeAnswer::Answer(Box::new(result.with_stop_reason("toolUse")))]);
    let backend = over(&peer);

    let error = outcome(&backend, request.clone()).await.unwrap_err();
    assert_eq!(error, GenerateError::Declined("tools: the sampling peer takes none".into()));
    assert!(!backend.capabilities().tools);

    peer.set_offer(Offer { available: true, tools: true });
    assert!(backend.capabilities().tools);
    let expected: ToolCall =
        serde_json::from_value(json!({"id": "t1", "function": {"name": "add", "arguments": "{\"a\":1}"}}))
            .unwrap();
    let [TokenEvent::Done { stop_reason, tool_calls, .. }] = &outcome(&backend, request).await.unwrap()[..]
    else {
        panic!("more than its end")
    };
    assert_eq!((*stop_reason, &tool_calls[..]), (StopReason::ToolCalls, &[expected][..]));
    let params = serde_json::to_value(&peer.requests()[0]).unwrap();
    assert_eq!(
        params["tools"],
        json!([{"name": "add", "description": "adds", "inputSchema": {"type": "object", "required": ["a"]}}])
    );
    assert_eq!(params["toolChoice"], json!({"mode": "required"}));
}

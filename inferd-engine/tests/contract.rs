//! Every backend keeps the contract.

use std::sync::Arc;

use inferd_engine::RemoteConfig;
use inferd_engine::backend_contract;
use inferd_engine::inferd::{Inferd, InferdAddress, InferdConfig};
use inferd_engine::mock::{Mock, MockConfig, MockError};
use inferd_engine::openai::OpenAi;
use inferd_engine::testing::contract::{Ending, Rig, Script, Stage};
use inferd_engine::testing::upstream::{Answer, Recorded, Reply, Upstream};
use serde_json::{Value, json};

struct MockRig;

impl Rig for MockRig {
    async fn play(&self, script: Script, _stream: bool) -> Stage {
        let mut config = MockConfig { tokens: script.tokens, ..MockConfig::default() };
        match script.ending {
            Ending::Done => {}
            Ending::CutShort => config.mid_stream_drop_after = Some(config.tokens.len()),
            Ending::Hang => config.tokens.extend(std::iter::repeat_n("more".to_owned(), 1000)),
            Ending::Invalid => config.pre_stream_error = Some(MockError::InvalidRequest),
            Ending::Unavailable => config.pre_stream_error = Some(MockError::Unavailable),
        }
        Stage { backend: Arc::new(Mock::with_config(config)), upstream: None }
    }
}

struct OpenAiRig;

impl OpenAiRig {
    fn reply(script: &Script, stream: bool) -> Reply {
        let tokens = script.tokens.iter();
        let reply = match script.ending {
            Ending::Invalid => return Reply::json(400, &json!({"error": {"message": "no"}})),
            Ending::Unavailable => return Reply::json(500, &json!({"error": {"message": "no"}})),
            Ending::Done if !stream => {
                let message = json!({"role": "assistant", "content": script.tokens.concat()});
                let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
                return Reply::json(200, &json!({"choices": [choice]}));
            }
            Ending::Done | Ending::CutShort | Ending::Hang => Reply::events(
                tokens
                    .map(|token| json!({"choices": [{"index": 0, "delta": {"content": token}}]}).to_string()),
            ),
        };
        match script.ending {
            Ending::Hang => reply.hang(),
            Ending::CutShort => reply.end(),
            _ => {
                let finish = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
                reply.event(&finish.to_string()).event("[DONE]")
            }
        }
    }
}

impl Rig for OpenAiRig {
    async fn play(&self, script: Script, stream: bool) -> Stage {
        let mut reply = Self::reply(&script, stream);
        if script.byte_by_byte {
            reply = reply.byte_by_byte();
        }
        let upstream = Upstream::start([reply]).await;
        let mut config = RemoteConfig::new("openai", upstream.url());
        config.models = vec!["m".into()];
        Stage {
            backend: Arc::new(OpenAi::new(config).expect("a good configuration")),
            upstream: Some(upstream),
        }
    }
}

struct InferdRig;

impl InferdRig {
    fn frames(script: &Script, id: &Value, stream: bool) -> Vec<Value> {
        let refusal = |code| vec![json!({"type": "error", "id": id, "code": code, "message": "no"})];
        let tokens = script.tokens.iter().map(|token| json!({"type": "token", "id": id, "content": token}));
        let usage = json!({"prompt_tokens": 1, "completion_tokens": 1});
        let done = json!({
            "type": "done", "id": id, "content": script.tokens.concat(), "usage": usage, "stop_reason": "end",
            "backend": "over there",
        });
        match script.ending {
            Ending::Invalid => refusal("invalid_request"),
            Ending::Unavailable => refusal("backend_unavailable"),
            Ending::Done if stream => tokens.chain([done]).collect(),
            Ending::Done => vec![done],
            Ending::CutShort | Ending::Hang => tokens.collect(),
        }
    }

    fn reply(script: &Script, id: &Value, stream: bool) -> Reply {
        let reply = Reply::lines(&Self::frames(script, id, stream));
        let reply = match script.ending {
            Ending::CutShort => reply.end(),
            Ending::Hang => reply.hang(),
            Ending::Done | Ending::Invalid | Ending::Unavailable => reply,
        };
        if script.byte_by_byte { reply.byte_by_byte() } else { reply }
    }
}

impl Rig for InferdRig {
    async fn play(&self, script: Script, stream: bool) -> Stage {
        let hello = Reply::lines([&json!({"type": "hello", "protocol": 1, "models": []})]);
        let answer = move |asked: &Recorded| Self::reply(&script, &asked.json()["id"], stream);
        let upstream = Upstream::daemon(hello, [Box::new(answer) as Answer]).await;
        let config = InferdConfig::new("inferd", InferdAddress::Tcp(upstream.address().to_string()));
        Stage {
            backend: Arc::new(Inferd::new(config).expect("a good configuration")),
            upstream: Some(upstream),
        }
    }
}

backend_contract!(inferd, InferdRig);
backend_contract!(mock, MockRig);
backend_contract!(openai, OpenAiRig);

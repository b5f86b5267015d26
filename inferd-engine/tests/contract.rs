//! Every backend keeps the contract.

use std::sync::Arc;

use inferd_engine::RemoteConfig;
use inferd_engine::backend_contract;
use inferd_engine::mock::{Mock, MockConfig, MockError};
use inferd_engine::openai::OpenAi;
use inferd_engine::sampling::{
    FakeAnswer, FakeSamplingClient, SamplingBackend, SamplingCoordinator, SamplingError,
};
use inferd_engine::testing::contract::{Ending, Rig, Script, Stage};
use inferd_engine::testing::upstream::{Reply, Upstream};
use serde_json::json;

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

/// A peer behind a coordinator. It gives an answer whole or not at all, so there is nothing in the middle of one: the
/// promises about single tokens, about answers cut short and about slow readers have nothing to hold on to. That
/// dropping the wait takes the call back is among its own tests.
struct SamplingRig;

impl Rig for SamplingRig {
    async fn play(&self, script: Script, _stream: bool) -> Stage {
        let answer = match script.ending {
            Ending::Done => FakeAnswer::Text(script.tokens.concat()),
            Ending::Hang => FakeAnswer::Never,
            Ending::CutShort | Ending::Unavailable => FakeAnswer::Transport,
            Ending::Invalid => FakeAnswer::Error(SamplingError::said(-32602, "no")),
        };
        let coordinator = SamplingCoordinator::adaptive(Arc::new(FakeSamplingClient::sequence([answer])));
        Stage { backend: Arc::new(SamplingBackend::new("sampling", Arc::new(coordinator))), upstream: None }
    }
}

backend_contract!(mock, MockRig);
backend_contract!(openai, OpenAiRig);
backend_contract!(
    sampling,
    SamplingRig;
    without_stream_the_text_is_the_same,
    characters_cut_on_the_way_arrive_whole,
    an_error_before_the_first_token_is_told_at_once,
    generations_side_by_side_do_not_mix
);

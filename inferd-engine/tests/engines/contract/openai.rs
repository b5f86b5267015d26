//! A server that speaks as OpenAI does.

use std::sync::Arc;

use inferd_engine::RemoteConfig;
use inferd_engine::openai::OpenAi;
use inferd_engine::testing::contract::{Ending, Rig, Script, Stage};
use inferd_engine::testing::upstream::{Reply, Upstream};
use serde_json::json;

pub(super) struct OpenAiRig;

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

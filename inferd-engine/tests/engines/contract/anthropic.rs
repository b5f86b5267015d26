//! A server that speaks as Anthropic does.

use std::sync::Arc;

use inferd_engine::RemoteConfig;
use inferd_engine::anthropic::Anthropic;
use inferd_engine::testing::contract::{Ending, Rig, Script, Stage};
use inferd_engine::testing::upstream::{Reply, Upstream};
use serde_json::json;

pub(super) struct AnthropicRig;

impl AnthropicRig {
    fn reply(script: &Script, stream: bool) -> Reply {
        let failure = |kind| json!({"type": "error", "error": {"type": kind, "message": "no"}});
        let message = |content, reason: Option<&str>| json!({"type": "message", "role": "assistant", "content": content, "stop_reason": reason});
        let start = json!({"type": "message_start", "message": message(json!([]), None)});
        let token = |text: &String| {
            let delta = json!({"type": "text_delta", "text": text});
            json!({"type": "content_block_delta", "index": 0, "delta": delta}).to_string()
        };
        let reply = match script.ending {
            Ending::Invalid => return Reply::json(400, &failure("invalid_request_error")),
            Ending::Unavailable => return Reply::json(500, &failure("api_error")),
            Ending::Done if !stream => {
                let content = json!([{"type": "text", "text": script.tokens.concat()}]);
                return Reply::json(200, &message(content, Some("end_turn")));
            }
            Ending::Done | Ending::CutShort | Ending::Hang => {
                script.tokens.iter().map(token).fold(Reply::events([start.to_string()]), |reply, token| {
                    reply.text("event: content_block_delta\n").event(&token)
                })
            }
        };
        match script.ending {
            Ending::Hang => reply.hang(),
            Ending::CutShort => reply.end(),
            _ => reply
                .event(&json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}).to_string())
                .event(&json!({"type": "message_stop"}).to_string()),
        }
    }
}

impl Rig for AnthropicRig {
    async fn play(&self, script: Script, stream: bool) -> Stage {
        let mut reply = Self::reply(&script, stream);
        if script.byte_by_byte {
            reply = reply.byte_by_byte();
        }
        let upstream = Upstream::start([reply]).await;
        let mut config = RemoteConfig::new("anthropic", upstream.url());
        config.models = vec!["m".into()];
        Stage {
            backend: Arc::new(Anthropic::new(config).expect("a good configuration")),
            upstream: Some(upstream),
        }
    }
}

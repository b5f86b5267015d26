//! Another daemon.

use std::sync::Arc;

use inferd_engine::inferd::{Inferd, InferdAddress, InferdConfig};
use inferd_engine::testing::contract::{Ending, Rig, Script, Stage};
use inferd_engine::testing::upstream::{Answer, Recorded, Reply, Upstream};
use serde_json::{Value, json};

pub(super) struct InferdRig;

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
        let reply = Reply::frames(&Self::frames(script, id, stream));
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
        let hello = Reply::frames([&json!({"type": "hello", "protocol": 1, "models": []})]);
        let answer = move |asked: &Recorded| Self::reply(&script, &asked.json()["id"], stream);
        let upstream = Upstream::daemon(hello, [Box::new(answer) as Answer]).await;
        let config = InferdConfig::new("inferd", InferdAddress::Tcp(upstream.address().to_string()));
        Stage {
            backend: Arc::new(Inferd::new(config).expect("a good configuration")),
            upstream: Some(upstream),
        }
    }
}

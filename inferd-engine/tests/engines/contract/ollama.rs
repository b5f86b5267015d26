//! A server that speaks as Ollama does.

use std::sync::Arc;

use inferd_engine::RemoteConfig;
use inferd_engine::ollama::{Ollama, OllamaConfig};
use inferd_engine::testing::contract::{Ending, Rig, Script, Stage};
use inferd_engine::testing::upstream::{Reply, Upstream};
use serde_json::{Value, json};

pub(super) struct OllamaRig;

impl OllamaRig {
    fn line(message: &str, done: bool) -> Value {
        json!({"model": "m", "message": {"role": "assistant", "content": message}, "done": done})
    }

    fn reply(script: &Script, stream: bool) -> Reply {
        let tokens = script.tokens.iter();
        let lines = match script.ending {
            Ending::Invalid => return Reply::json(400, &json!({"error": "no"})),
            Ending::Unavailable => return Reply::json(500, &json!({"error": "no"})),
            Ending::Done if !stream => return Reply::json(200, &Self::line(&script.tokens.concat(), true)),
            Ending::Done | Ending::CutShort | Ending::Hang => {
                Reply::lines(tokens.map(|token| Self::line(token, false).to_string()))
            }
        };
        match script.ending {
            Ending::Hang => lines.hang(),
            Ending::CutShort => lines.end(),
            _ => lines.text(&Self::line("", true).to_string()).text("\n"),
        }
    }
}

impl Rig for OllamaRig {
    async fn play(&self, script: Script, stream: bool) -> Stage {
        let reply = Self::reply(&script, stream);
        let reply = if script.byte_by_byte { reply.byte_by_byte() } else { reply };
        let upstream = Upstream::start([reply]).await;
        let mut config = RemoteConfig::new("ollama", upstream.url());
        config.models = vec!["m".into()];
        let backend = Arc::new(Ollama::new(OllamaConfig::from(config)).expect("a good configuration"));
        Stage { backend, upstream: Some(upstream) }
    }
}

//! OpenAI's words.

use std::sync::Arc;

use inferd_engine::{Backend, RemoteConfig, RemoteError, openai};
use serde_json::{Value, json};

use super::Engine;

pub(crate) struct OpenAi;

impl OpenAi {
    fn choice(&self, choice: &Value) -> String {
        self.frame(&json!({"object": "chat.completion.chunk", "choices": [choice]}).to_string())
    }
}

impl Engine for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn build(&self, config: RemoteConfig) -> Result<Arc<dyn Backend>, RemoteError> {
        Ok(Arc::new(openai::OpenAi::new(config)?))
    }

    fn key(&self) -> (&'static str, &'static str) {
        ("authorization", "Bearer ")
    }

    fn begins(&self) -> String {
        self.choice(&json!({"index": 0, "delta": {"role": "assistant", "content": ""}}))
    }

    fn says(&self, text: &str) -> String {
        self.choice(&json!({"index": 0, "delta": {"content": text}}))
    }

    fn ends(&self) -> String {
        self.choice(&json!({"index": 0, "delta": {}, "finish_reason": "stop"})) + &self.frame("[DONE]")
    }

    fn fails(&self, message: &str) -> String {
        self.frame(&json!({"error": {"message": message, "type": "server_error"}}).to_string())
    }

    fn whole(&self, text: &str) -> Value {
        json!({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})
    }

    fn refuses(&self, message: &str) -> Value {
        json!({"error": {"message": message, "type": "x"}})
    }
}

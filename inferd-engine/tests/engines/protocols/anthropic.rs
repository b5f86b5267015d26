//! Anthropic's words.

use std::sync::Arc;

use inferd_engine::{Backend, RemoteConfig, RemoteError, anthropic};
use serde_json::{Value, json};

use super::Engine;

pub(crate) struct Anthropic;

impl Engine for Anthropic {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn build(&self, config: RemoteConfig) -> Result<Arc<dyn Backend>, RemoteError> {
        Ok(Arc::new(anthropic::Anthropic::new(config)?))
    }

    fn key(&self) -> (&'static str, &'static str) {
        ("x-api-key", "")
    }

    fn begins(&self) -> String {
        let message = json!({"type": "message", "model": "m-1", "content": []});
        self.frame(&json!({"type": "message_start", "message": message}).to_string())
    }

    fn says(&self, text: &str) -> String {
        let delta = json!({"type": "text_delta", "text": text});
        let event = json!({"type": "content_block_delta", "index": 0, "delta": delta});
        format!("event: content_block_delta\n{}", self.frame(&event.to_string()))
    }

    fn ends(&self) -> String {
        let end = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}});
        self.frame(&end.to_string()) + &self.frame(&json!({"type": "message_stop"}).to_string())
    }

    fn fails(&self, message: &str) -> String {
        let error = json!({"type": "error", "error": {"type": "api_error", "message": message}});
        format!("event: error\n{}", self.frame(&error.to_string()))
    }

    fn whole(&self, text: &str) -> Value {
        json!({"type": "message", "content": [{"type": "text", "text": text}], "stop_reason": "end_turn"})
    }

    fn refuses(&self, message: &str) -> Value {
        json!({"type": "error", "error": {"type": "x", "message": message}, "request_id": "req_1"})
    }
}

//! Ollama's words.

use std::sync::Arc;

use inferd_engine::testing::upstream::Reply;
use inferd_engine::{Backend, RemoteConfig, RemoteError, ollama};
use serde_json::{Value, json};

use super::Engine;

pub(crate) struct Ollama;

impl Engine for Ollama {
    fn name(&self) -> &'static str {
        "ollama"
    }

    fn build(&self, config: RemoteConfig) -> Result<Arc<dyn Backend>, RemoteError> {
        Ok(Arc::new(ollama::Ollama::new(config.into())?))
    }

    fn key(&self) -> (&'static str, &'static str) {
        ("authorization", "Bearer ")
    }

    fn stream(&self) -> Reply {
        Reply::lines([""; 0])
    }

    fn begins(&self) -> String {
        self.says("")
    }

    fn says(&self, text: &str) -> String {
        let message = json!({"role": "assistant", "content": text});
        self.frame(&json!({"model": "m-1", "message": message, "done": false}).to_string())
    }

    fn ends(&self) -> String {
        let message = json!({"role": "assistant", "content": ""});
        self.frame(&json!({"message": message, "done": true, "done_reason": "stop"}).to_string())
    }

    fn fails(&self, message: &str) -> String {
        self.frame(&self.refuses(message).to_string())
    }

    fn whole(&self, text: &str) -> Value {
        json!({"message": {"role": "assistant", "content": text}, "done": true, "done_reason": "stop"})
    }

    /// It has none of its own; an empty line is none either.
    fn lives(&self) -> &'static str {
        "{\"done\":false}\n"
    }

    fn refuses(&self, message: &str) -> Value {
        json!({"error": message})
    }

    fn frame(&self, data: &str) -> String {
        format!("{data}\n")
    }
}

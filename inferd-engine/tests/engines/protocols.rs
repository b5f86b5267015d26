//! How each engine's protocol over HTTP writes what all of them say.

pub(crate) mod anthropic;
pub(crate) mod ollama;
pub(crate) mod openai;

use std::sync::Arc;

use inferd_engine::testing::upstream::Reply;
use inferd_engine::{Backend, RemoteConfig, RemoteError};
use serde_json::Value;

/// An engine, and the words of its servers. What they stream is text, framed as it goes over the wire.
pub(crate) trait Engine: Sync {
    fn name(&self) -> &'static str;

    fn build(&self, config: RemoteConfig) -> Result<Arc<dyn Backend>, RemoteError>;

    /// The engine with a configuration that it must take.
    fn built(&self, config: RemoteConfig) -> Arc<dyn Backend> {
        self.build(config).expect("a good configuration")
    }

    /// The header that carries the key, and what stands there before it.
    fn key(&self) -> (&'static str, &'static str);

    /// The head of a stream, and nothing else yet.
    fn stream(&self) -> Reply {
        Reply::events([""; 0])
    }

    /// What comes before the first token.
    fn begins(&self) -> String;

    /// A token.
    fn says(&self, text: &str) -> String;

    /// What ends an answer that ended by itself.
    fn ends(&self) -> String;

    /// An error in the place of what should come next.
    fn fails(&self, message: &str) -> String;

    /// All of an answer.
    fn whole(&self, text: &str) -> Value;

    /// What shows that the server is alive, and says nothing.
    fn lives(&self) -> &'static str {
        ": alive\n\n"
    }

    /// What a server says to refuse a request.
    fn refuses(&self, message: &str) -> Value;

    /// Data in the framing of a stream.
    fn frame(&self, data: &str) -> String {
        format!("data: {data}\n\n")
    }
}

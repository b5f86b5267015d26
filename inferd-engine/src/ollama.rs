//! Ollama by its own API, which takes what its OpenAI-compatible one has no words for: how long a model stays loaded.
//!
//! A [`Resolved`] request leaves as `POST /api/chat`; the lines of JSON that come back become a [`TokenStream`]. While
//! Ollama loads a model it says nothing, which may take minutes: the time-out of the first token covers that.
//!
//! Invariants:
//! - Nothing is sent for an option the request does not have, but for `truncate` with texts to embed.
//! - What Ollama has no way to do is refused by its name before anything is sent.

mod embeddings;
mod models;
mod reply;
mod request;
mod wire;

use std::time::Duration;

use async_trait::async_trait;
use http::Uri;
use http::header::AUTHORIZATION;
use inferd_proto::{EmbedRequest, Resolved};

use crate::http::Answer;
use crate::remote::{Form, Purpose, Remote, RemoteConfig, RemoteError};
use crate::{Backend, Capabilities, Embedded, GenerateError, TokenStream};
use reply::Reply;
use request::{Chat, Question};

/// An Ollama.
#[derive(Debug, Clone)]
pub struct OllamaConfig {
    /// Where it is. A path that ends in `/api` or `/v1` is taken for the API of Ollama, or the one it has beside it,
    /// and what stands before it for Ollama's own.
    pub remote: RemoteConfig,
    /// How long a model stays in memory after a request, as Go writes spans of time: `5m`, `1h30m`, below zero for ever.
    /// `None`: as long as Ollama keeps it by itself.
    pub keep_alive: Option<String>,
}

impl From<RemoteConfig> for OllamaConfig {
    fn from(remote: RemoteConfig) -> Self {
        Self { remote, keep_alive: None }
    }
}

/// The backend.
pub struct Ollama {
    remote: Remote,
    keep_alive: Option<String>,
    chat: Uri,
    embed: Uri,
    tags: Uri,
}

impl Ollama {
    /// The backend of `config`; the key is sent as a bearer token. Nothing is sent before the first request.
    ///
    /// # Errors
    /// [`RemoteError`] where the URL or the key cannot be used.
    pub fn new(config: OllamaConfig) -> Result<Self, RemoteError> {
        let OllamaConfig { mut remote, keep_alive } = config;
        let base = remote.base_url.trim_end().trim_end_matches('/');
        let root = base.strip_suffix("/api").or_else(|| base.strip_suffix("/v1")).unwrap_or(base);
        remote.base_url.truncate(root.len());
        let remote = Remote::new(remote, "", (AUTHORIZATION, "Bearer "))?;
        let [chat, embed, tags] = ["/api/chat", "/api/embed", "/api/tags"].map(|path| remote.target(path));
        Ok(Self { chat: chat?, embed: embed?, tags: tags?, remote, keep_alive })
    }

    async fn begin(
        &self,
        named: Option<&str>,
        question: &Question<'_>,
    ) -> Result<(Answer, Form), GenerateError> {
        let model = self.remote.model_for(named, Purpose::Generate, || self.list_models()).await?;
        let chat = Chat { model: &model, keep_alive: self.keep_alive.as_deref(), question };
        let answer = self.remote.post(&self.chat, &chat, &model).await?;
        let usual = || if question.stream { Form::lines() } else { Form::whole() };
        let form = Form::declared(&answer.headers, usual(), usual())?;
        Ok((answer, form))
    }
}

#[async_trait]
impl Backend for Ollama {
    fn name(&self) -> &str {
        self.remote.name()
    }

    /// Always: only asking would tell.
    fn ready(&self) -> bool {
        true
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { vision: true, tools: true, thinking: true, embed: true, grammar: false }
    }

    async fn generate(&self, request: Resolved) -> Result<TokenStream, GenerateError> {
        let question = Question::new(&request, &self.remote)?;
        let mut clock = self.remote.clock();
        let begun = clock.bound(self.begin(request.model.as_deref(), &question)).await?;
        let (answer, form) = begun.map_err(|error| self.remote.unlearn(error))?;
        Ok(self.remote.stream(answer, form, clock, Reply::default()))
    }

    async fn embed(&self, request: EmbedRequest) -> Result<Embedded, GenerateError> {
        let embedded = self.remote.clock().bound(self.embed_texts(&request)).await?;
        embedded.map_err(|error| self.remote.unlearn(error))
    }

    async fn models(&self) -> Result<Vec<String>, GenerateError> {
        let models = self.remote.clock().bound(self.list_models()).await??;
        self.remote.learn(&models);
        Ok(models)
    }

    async fn stop(&self, _timeout: Duration) -> Result<(), GenerateError> {
        self.remote.hang_up();
        Ok(())
    }
}

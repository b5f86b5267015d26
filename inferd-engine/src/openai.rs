//! Engines that speak OpenAI's HTTP: OpenAI itself, vLLM, `SGLang`, llama-server, Ollama, LM Studio and many more.
//!
//! A [`Resolved`] request leaves as `POST …/chat/completions`; what comes back, as server-sent events or in one piece,
//! becomes a [`TokenStream`]. Nothing is tried twice here: whoever holds the request decides that.
//!
//! Invariant: nothing is sent for an option the request does not have.

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
use crate::remote::{Form, Purpose, Remote, RemoteConfig, RemoteError, is_streamed};
use crate::{Backend, Capabilities, Embedded, GenerateError, TokenStream};
use reply::Reply;
use request::{Chat, Server};

/// The backend.
pub struct OpenAi {
    remote: Remote,
    server: Server,
    chat: Uri,
    embeddings: Uri,
    models: Uri,
}

impl OpenAi {
    /// The backend of `config`, whose URL gets the path `/v1` where it has none; the key is sent as a bearer token.
    /// Nothing is sent before the first request.
    ///
    /// # Errors
    /// [`RemoteError`] where the URL or the key cannot be used.
    pub fn new(config: RemoteConfig) -> Result<Self, RemoteError> {
        let remote = Remote::new(config, "/v1", (AUTHORIZATION, "Bearer "))?;
        let (chat, embeddings) = (remote.target("/chat/completions")?, remote.target("/embeddings")?);
        let models = remote.target("/models")?;
        let server = Server::at(remote.host());
        Ok(Self { remote, server, chat, embeddings, models })
    }

    /// Refuses what the server has no name for.
    fn check(&self, request: &Resolved) -> Result<(), GenerateError> {
        let own = self.server == Server::OpenAis;
        for (field, asked) in [
            ("image_token_budget", request.image_token_budget.is_some()),
            ("top_k", own && request.top_k.is_some()),
            ("grammar", own && request.grammar.is_some()),
        ] {
            if asked {
                return Err(self.remote.refused(field, "does not take it"));
            }
        }
        Ok(())
    }

    async fn begin(&self, request: &Resolved) -> Result<(Answer, Form, Reply), GenerateError> {
        let named = request.model.as_deref();
        let model = self.remote.model_for(named, Purpose::Generate, || self.list_models()).await?;
        let answer = self.remote.post(&self.chat, &Chat::new(request, &model, self.server), &model).await?;
        let undeclared = if is_streamed(request) { Form::events() } else { Form::whole() };
        let form = Form::declared(&answer.headers, Form::whole(), undeclared)?;
        Ok((answer, form, Reply::to(model)))
    }
}

#[async_trait]
impl Backend for OpenAi {
    fn name(&self) -> &str {
        self.remote.name()
    }

    /// Always: only asking would tell.
    fn ready(&self) -> bool {
        true
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            vision: true,
            tools: true,
            thinking: true,
            embed: true,
            grammar: self.server == Server::Another,
        }
    }

    async fn generate(&self, request: Resolved) -> Result<TokenStream, GenerateError> {
        self.check(&request)?;
        let mut clock = self.remote.clock();
        let begun = clock.bound(self.begin(&request)).await?;
        let (answer, form, reply) = begun.map_err(|error| self.remote.unlearn(error))?;
        Ok(self.remote.stream(answer, form, clock, reply))
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

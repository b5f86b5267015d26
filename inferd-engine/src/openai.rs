//! Engines that speak OpenAI's HTTP: OpenAI itself, vLLM, `SGLang`, llama-server, Ollama, LM Studio and many more.
//!
//! A [`Resolved`] request leaves as `POST …/chat/completions`; what comes back, as server-sent events or in one piece,
//! becomes a [`TokenStream`]. Nothing is tried twice here: whoever holds the request decides that.
//!
//! Invariants:
//! - The key is sent to the configured host only, and no error, log line or `Debug` output shows it.
//! - Nothing is sent for an option the request does not have.

mod embeddings;
mod models;
mod pattern;
mod reply;
mod request;
mod stream;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode, Uri};
use inferd_proto::{EmbedRequest, Resolved};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tokio::sync::OnceCell;

pub use crate::http::BadUrl;
use crate::http::{Answer, Ask, Client, Clock, Origin, Redactor, Sse, Timeouts, refusal};
use crate::{Backend, Capabilities, Embedded, GenerateError, TokenStream};
use request::{Chat, is_streamed};
use stream::{Form, Generation};

/// One engine: where it is and how long it may take.
#[derive(Debug, Clone)]
pub struct OpenAiConfig {
    /// The backend's unique name.
    pub name: String,
    /// Such as `http://127.0.0.1:8080`; without a path `/v1` is appended.
    pub base_url: String,
    /// Sent as a bearer token.
    pub api_key: Option<SecretString>,
    /// What it serves, the first by default; empty: the engine is asked.
    pub models: Vec<String>,
    /// Name, TCP and TLS together.
    pub connect_timeout: Duration,
    /// From sending to the first token.
    pub first_token_timeout: Duration,
    /// Between tokens, or other signs of life, after that.
    pub idle_timeout: Duration,
    /// From sending to the end.
    pub total_timeout: Option<Duration>,
}

impl OpenAiConfig {
    /// An engine without a key: 5 s to connect, 120 s to the first token, 60 s between tokens, no limit in total.
    #[must_use]
    pub fn new(name: impl Into<String>, base_url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            base_url: base_url.into(),
            api_key: None,
            models: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            first_token_timeout: Duration::from_secs(120),
            idle_timeout: Duration::from_secs(60),
            total_timeout: None,
        }
    }
}

/// A configuration that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenAiError {
    /// The base URL cannot be used.
    #[error(transparent)]
    BaseUrl(#[from] BadUrl),
    /// The key holds characters that no header may have, a line break perhaps.
    #[error("api key: expected printable ASCII")]
    Key,
}

/// The backend.
pub struct OpenAi {
    name: String,
    client: Client,
    headers: HeaderMap,
    chat: Uri,
    embeddings: Uri,
    models: Uri,
    /// Asked where neither the request nor the configuration names a model, once.
    default_model: OnceCell<String>,
    timeouts: Timeouts,
    redactor: Arc<Redactor>,
}

impl OpenAi {
    /// The backend of `config`. Nothing is sent before the first request.
    ///
    /// # Errors
    /// [`OpenAiError`] where the URL or the key cannot be used.
    pub fn new(config: OpenAiConfig) -> Result<Self, OpenAiError> {
        let origin = Origin::parse(&config.base_url, "/v1")?;
        let (chat, embeddings) = (origin.target("/chat/completions")?, origin.target("/embeddings")?);
        let models = origin.target("/models")?;
        let client = Client::new(origin, config.connect_timeout);
        let mut headers = client.headers();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = &config.api_key {
            let bearer = format!("Bearer {}", key.expose_secret());
            let mut bearer = HeaderValue::try_from(bearer).map_err(|_| OpenAiError::Key)?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        Ok(Self {
            name: config.name,
            client,
            headers,
            chat,
            embeddings,
            models,
            default_model: OnceCell::new_with(config.models.into_iter().next()),
            timeouts: Timeouts {
                first_token: config.first_token_timeout,
                idle: config.idle_timeout,
                total: config.total_timeout,
            },
            redactor: Arc::new(Redactor::new(config.api_key)),
        })
    }

    /// Sends `body` to `target` and passes on what has the status 200.
    async fn post(&self, target: &Uri, body: &impl Serialize, model: &str) -> Result<Answer, GenerateError> {
        let body = serde_json::to_vec(body).map_err(|error| GenerateError::Internal(error.to_string()))?;
        self.send(Method::POST, target, body.into(), model).await
    }

    async fn send(
        &self,
        method: Method,
        target: &Uri,
        body: Bytes,
        model: &str,
    ) -> Result<Answer, GenerateError> {
        let answer = self.client.send(Ask { method, target, headers: &self.headers, body }).await?;
        if answer.status == StatusCode::OK {
            Ok(answer)
        } else {
            Err(refusal(answer, model, &self.redactor).await)
        }
    }

    /// The model to ask for where none is named.
    async fn default_model(&self) -> Result<&str, GenerateError> {
        let first = self.default_model.get_or_try_init(|| async {
            let models = self.list_models().await?;
            models.into_iter().next().ok_or_else(|| GenerateError::Unavailable("serves no model".to_owned()))
        });
        first.await.map(String::as_str)
    }

    async fn begin(&self, request: &Resolved) -> Result<(Answer, Form), GenerateError> {
        let model = match &request.model {
            Some(model) => model,
            None => self.default_model().await?,
        };
        let answer = self.post(&self.chat, &Chat::new(request, model), model).await?;
        let form = form(&answer.headers, is_streamed(request))?;
        Ok((answer, form))
    }
}

/// How the answer is written, which need not be how it was asked for.
fn form(headers: &HeaderMap, stream: bool) -> Result<Form, GenerateError> {
    let declared = headers.get(CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or("unreadable"));
    let kind = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match (kind.as_str(), stream) {
        ("text/event-stream", _) | ("", true) => Ok(Form::Events(Sse::default())),
        ("application/json", _) | ("", false) => Ok(Form::Whole(Vec::new())),
        _ => Err(GenerateError::Unavailable(format!("answered with {kind}, which is no completion"))),
    }
}

#[async_trait]
impl Backend for OpenAi {
    fn name(&self) -> &str {
        &self.name
    }

    /// Always: only asking would tell.
    fn ready(&self) -> bool {
        true
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { vision: true, tools: true, thinking: true, embed: true, grammar: true }
    }

    async fn generate(&self, request: Resolved) -> Result<TokenStream, GenerateError> {
        if request.image_token_budget.is_some() {
            let reason = format!("image_token_budget: backend {} does not take it", self.name);
            return Err(GenerateError::InvalidRequest(reason));
        }
        let mut clock = Clock::start(self.timeouts);
        let (answer, form) = clock.bound(self.begin(&request)).await??;
        Ok(Box::pin(Generation::new(answer.body, form, clock, Arc::clone(&self.redactor))))
    }

    async fn embed(&self, request: EmbedRequest) -> Result<Embedded, GenerateError> {
        Clock::start(self.timeouts).bound(self.embed_texts(&request)).await?
    }

    async fn models(&self) -> Result<Vec<String>, GenerateError> {
        Clock::start(self.timeouts).bound(self.list_models()).await?
    }

    async fn stop(&self, _timeout: Duration) -> Result<(), GenerateError> {
        self.client.hang_up();
        Ok(())
    }
}

//! Engines that speak Anthropic's HTTP: Anthropic itself, and the servers that have learnt its Messages API.
//!
//! A [`Resolved`] request leaves as `POST …/messages`; what comes back, as server-sent events or in one piece, becomes a
//! [`TokenStream`]. Nothing is tried twice here: whoever holds the request decides that.
//!
//! Invariants:
//! - Nothing is sent for an option the request does not have, but for `max_tokens`, which the API requires.
//! - What the API cannot express is refused by name before anything is sent.

mod models;
mod reply;
mod request;
mod turns;
mod wire;

use std::time::Duration;

use async_trait::async_trait;
use http::Uri;
use http::header::{HeaderName, HeaderValue};
use inferd_proto::Resolved;

use crate::http::Answer;
use crate::remote::{Form, Purpose, Remote, RemoteConfig, RemoteError, is_streamed};
use crate::{Backend, Capabilities, GenerateError, TokenStream};
use reply::Reply;
use request::{Ask, Unfit};

const KEY: HeaderName = HeaderName::from_static("x-api-key");
const VERSION: HeaderName = HeaderName::from_static("anthropic-version");
/// The version whose requests may set a temperature, `top_p` and `top_k`: later ones refuse them for every model.
const SPOKEN: HeaderValue = HeaderValue::from_static("2023-06-01");

/// The backend.
pub struct Anthropic {
    remote: Remote,
    messages: Uri,
}

impl Anthropic {
    /// The backend of `config`, whose URL gets the path `/v1` where it has none; the key is sent as `x-api-key`.
    /// Nothing is sent before the first request.
    ///
    /// # Errors
    /// [`RemoteError`] where the URL or the key cannot be used.
    pub fn new(config: RemoteConfig) -> Result<Self, RemoteError> {
        let remote = Remote::new(config, "/v1", (KEY, ""))?.with_header(VERSION, SPOKEN);
        let messages = remote.target("/messages")?;
        Ok(Self { remote, messages })
    }

    async fn begin(&self, request: &Resolved, ask: Ask<'_>) -> Result<(Answer, Form, Reply), GenerateError> {
        let named = request.model.as_deref();
        let model = self.remote.model_for(named, Purpose::Generate, || self.list_models()).await?;
        let answer = self.remote.post(&self.messages, &ask.of(&model), &model).await?;
        let undeclared = if is_streamed(request) { Form::events() } else { Form::whole() };
        let form = Form::declared(&answer.headers, Form::whole(), undeclared)?;
        Ok((answer, form, Reply::to(model)))
    }
}

#[async_trait]
impl Backend for Anthropic {
    fn name(&self) -> &str {
        self.remote.name()
    }

    /// Always: only asking would tell.
    fn ready(&self) -> bool {
        true
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { vision: true, tools: true, thinking: true, embed: false, grammar: false }
    }

    async fn generate(&self, request: Resolved) -> Result<TokenStream, GenerateError> {
        let ask = Ask::new(&request).map_err(|Unfit { field, how }| self.remote.refused(&field, how))?;
        let mut clock = self.remote.clock();
        let begun = clock.bound(self.begin(&request, ask)).await?;
        let (answer, form, reply) = begun.map_err(|error| self.remote.unlearn(error))?;
        Ok(self.remote.stream(answer, form, clock, reply))
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

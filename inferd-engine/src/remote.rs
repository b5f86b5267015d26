//! What the engines that are servers elsewhere have in common: where they are, their key, and how an answer is put
//! together from the pieces that come back.
//!
//! An engine writes its protocol's request and names its protocol's pieces ([`Dialect`]); the rest is here.
//!
//! Invariants:
//! - The key is sent to the configured host only, and no error, log line or `Debug` output shows it.
//! - What a server says passes the redactor before anybody sees it.

mod calls;
mod config;
mod defaults;
mod fault;
mod form;
mod generation;
mod list;
mod outcome;
mod pattern;
mod text;
mod vectors;

pub(crate) use calls::{Calls, Fragment, arguments};
pub use config::{RemoteConfig, RemoteError};
pub(crate) use defaults::Purpose;
pub(crate) use fault::Fault;
pub(crate) use form::Form;
pub(crate) use generation::{Dialect, Generation, Heard, Said};
pub(crate) use list::{LIST_BYTES_MAX, each_once};
pub(crate) use outcome::Outcome;
pub(crate) use text::{Text, spoken};
pub(crate) use vectors::{VECTORS_BYTES_MAX, checked};

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};
use inferd_proto::Resolved;
use secrecy::ExposeSecret;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::{Clock, Timeouts};
use crate::http::{Answer, Ask, Client, Origin, Redactor, refusal};
use crate::{GenerateError, TokenStream};
use defaults::Defaults;

/// One server.
pub(crate) struct Remote {
    name: String,
    origin: Origin,
    client: Client,
    headers: HeaderMap,
    defaults: Defaults,
    timeouts: Timeouts,
    redactor: Arc<Redactor>,
}

impl Remote {
    /// The server of `config`, whose paths begin with `prefix` where its URL names no path, and which takes its key
    /// in the header `key` (with what stands before it). Nothing is sent before the first request.
    pub(crate) fn new(
        config: RemoteConfig,
        prefix: &str,
        key: (HeaderName, &str),
    ) -> Result<Self, RemoteError> {
        let origin = Origin::parse(&config.base_url, prefix)?;
        let client = Client::new(origin.clone(), config.connect_timeout);
        let mut headers = client.headers();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(secret) = &config.api_key {
            let (header, scheme) = key;
            let value = format!("{scheme}{}", secret.expose_secret());
            let mut value = HeaderValue::try_from(value).map_err(|_| RemoteError::Key)?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        Ok(Self {
            name: config.name,
            origin,
            client,
            headers,
            defaults: Defaults::new(config.models),
            timeouts: Timeouts {
                first_token: config.first_token_timeout,
                idle: config.idle_timeout,
                total: config.total_timeout,
            },
            redactor: Arc::new(Redactor::new(config.api_key)),
        })
    }

    /// The same server, which is also sent `value` in the header `name` with every request.
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The backend's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The server's host name or address.
    pub(crate) fn host(&self) -> &str {
        &self.origin.host
    }

    /// The refusal of a request whose `field` this backend cannot honour, and how: `takes none`.
    pub(crate) fn refused(&self, field: &str, how: &str) -> GenerateError {
        GenerateError::InvalidRequest(format!("{field}: backend {} {how}", self.name))
    }

    /// The request target for `path` (such as `/models`) below the base URL.
    pub(crate) fn target(&self, path: &str) -> Result<Uri, RemoteError> {
        Ok(self.origin.target(path)?)
    }

    /// A clock for one exchange.
    pub(crate) fn clock(&self) -> Clock {
        Clock::start(self.timeouts)
    }

    /// Sends `body` to `target` and passes on what has the status 200. `model` is what is asked for.
    pub(crate) async fn post(
        &self,
        target: &Uri,
        body: &impl Serialize,
        model: &str,
    ) -> Result<Answer, GenerateError> {
        let body = serde_json::to_vec(body).map_err(|error| GenerateError::Internal(error.to_string()))?;
        self.send(Method::POST, target, body.into(), model).await
    }

    /// Asks for `target` and reads the JSON it answers, of at most `bytes_max` bytes; `what` it is, for people.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        target: &Uri,
        bytes_max: usize,
        what: &str,
    ) -> Result<T, GenerateError> {
        let answer = self.send(Method::GET, target, Bytes::new(), "").await?;
        read(answer, bytes_max, what).await
    }

    /// The model to ask for where `named` is none; `list` asks the server what it has.
    pub(crate) async fn model_for(
        &self,
        named: Option<&str>,
        purpose: Purpose,
        list: impl AsyncFnOnce() -> Result<Vec<String>, GenerateError>,
    ) -> Result<String, GenerateError> {
        if let Some(named) = named {
            return Ok(named.to_owned());
        }
        if let Some(known) = self.defaults.model_for(purpose) {
            return Ok(known);
        }
        self.learn(&list().await?);
        self.defaults
            .model_for(purpose)
            .ok_or_else(|| GenerateError::Unavailable("serves no model".to_owned()))
    }

    /// Remembers what the server has, for requests that name no model.
    pub(crate) fn learn(&self, models: &[String]) {
        self.defaults.learn(models);
    }

    /// Passes an error on, having forgotten what was learnt of the server's models if it shows that to be old.
    pub(crate) fn unlearn(&self, error: GenerateError) -> GenerateError {
        if matches!(error, GenerateError::ModelNotFound(_)) {
            self.defaults.forget();
        }
        error
    }

    /// The rest of an answer as events.
    pub(crate) fn stream<D: Dialect>(
        &self,
        answer: Answer,
        form: Form,
        clock: Clock,
        dialect: D,
    ) -> TokenStream {
        Box::pin(Generation::new(answer.body, form, clock, Arc::clone(&self.redactor), dialect))
    }

    /// Closes the idle connections.
    pub(crate) fn hang_up(&self) {
        self.client.hang_up();
    }

    async fn send(
        &self,
        method: Method,
        target: &Uri,
        body: Bytes,
        model: &str,
    ) -> Result<Answer, GenerateError> {
        let answer = self.client.send(Ask { method, target, headers: &self.headers, body }).await?;
        if answer.status != StatusCode::OK {
            return Err(refusal(answer, model, &self.redactor).await);
        }
        match answer.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
            None | Some(b"identity") => Ok(answer),
            Some(encoding) => {
                let encoding = self.redactor.shown(&String::from_utf8_lossy(encoding));
                Err(GenerateError::Unavailable(format!("answered in {encoding}, which was not asked for")))
            }
        }
    }
}

/// The longest answer that is asked for in one piece. A longer one comes as a stream, whether or not the caller wants
/// one: only a stream tells a server that is busy from one that hangs.
const WHOLE_TOKENS_MAX: u32 = 256;

/// Whether the server is asked to stream.
pub(crate) fn is_streamed(request: &Resolved) -> bool {
    request.stream || request.max_tokens.is_none_or(|max| max > WHOLE_TOKENS_MAX)
}

/// Reads the JSON of `answer`, of at most `bytes_max` bytes; `what` it is, for people.
pub(crate) async fn read<T: DeserializeOwned>(
    answer: Answer,
    bytes_max: usize,
    what: &str,
) -> Result<T, GenerateError> {
    serde_json::from_slice(&answer.body.read(bytes_max).await?)
        .map_err(|error| GenerateError::Unavailable(format!("{what} not understood: {error}")))
}

/// What did not parse, in the words of whoever wrote it as far as they may be shown.
pub(crate) fn not_understood(error: &serde_json::Error, redactor: &Redactor) -> GenerateError {
    GenerateError::Unavailable(format!(
        "the answer is not understood: {}",
        redactor.shown(&error.to_string())
    ))
}

/// Tokens as they are counted here.
pub(crate) fn count(tokens: Option<u64>) -> u32 {
    u32::try_from(tokens.unwrap_or(0)).unwrap_or(u32::MAX)
}

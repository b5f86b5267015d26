//! From a configured backend to one that generates.
//!
//! Invariants:
//! - What is built depends on its [`Recipe`] and on nothing else.

use std::sync::Arc;

use inferd_engine::mock::{Mock, MockConfig};
use inferd_engine::openai::OpenAi;
use inferd_engine::{Backend, RemoteConfig, RemoteError};
use secrecy::{ExposeSecret, SecretString};

use crate::config::{BackendConfig, EngineConfig, HttpConfig, HttpKind};
use crate::secrets::Secrets;

/// A backend that cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The engine does not accept its configuration.
    #[error("cannot build backend `{name}`")]
    Engine {
        /// Its name.
        name: String,
        /// What the engine said.
        #[source]
        source: RemoteError,
    },
    /// There is no such engine yet.
    #[error("backend `{name}`: {what} is not served by this version")]
    NotServed {
        /// Its name.
        name: String,
        /// Its kind, or a key of it.
        what: &'static str,
    },
}

/// Builds a backend. Nothing is connected to: a server that is down is no error here.
///
/// # Errors
/// [`BackendError`] where the engine does not accept the configuration.
pub fn build(config: &BackendConfig, secrets: &Secrets) -> Result<Arc<dyn Backend>, BackendError> {
    Recipe::of(config, secrets).build()
}

/// All that a backend is built from. Equal ones build alike, so that one need not be built again.
pub(crate) struct Recipe<'a> {
    name: &'a str,
    engine: &'a EngineConfig,
    /// Models to ask for by default; `*` is no model to ask for.
    models: Vec<&'a str>,
    key: Option<&'a SecretString>,
}

impl PartialEq for Recipe<'_> {
    fn eq(&self, other: &Self) -> bool {
        // Both are ours: how long this takes tells nobody anything.
        let [key, others] = [self, other].map(|recipe| recipe.key.map(ExposeSecret::expose_secret));
        (self.name, self.engine, &self.models, key) == (other.name, other.engine, &other.models, others)
    }
}

impl<'a> Recipe<'a> {
    pub(crate) fn of(config: &'a BackendConfig, secrets: &'a Secrets) -> Self {
        Self {
            name: &config.name,
            engine: &config.engine,
            models: config.models.iter().map(String::as_str).filter(|model| *model != "*").collect(),
            key: secrets.of_backend(&config.name),
        }
    }

    pub(crate) fn build(&self) -> Result<Arc<dyn Backend>, BackendError> {
        let not_served = |what| Err(BackendError::NotServed { name: self.name.to_owned(), what });
        match self.engine {
            EngineConfig::Mock { tokens, token_delay_ms, mid_stream_drop_after } => {
                let script = MockConfig {
                    tokens: tokens.clone(),
                    token_delay_ms: *token_delay_ms,
                    mid_stream_drop_after: *mid_stream_drop_after,
                    ..MockConfig::default()
                };
                Ok(Arc::new(Mock::named(self.name.to_owned(), script)))
            }
            EngineConfig::Http(http) => match &http.kind {
                HttpKind::OpenAi | HttpKind::Ollama { keep_alive: None } => {
                    self.built(OpenAi::new(self.remote(http)))
                }
                HttpKind::Ollama { keep_alive: Some(_) } => not_served("keep_alive"),
                HttpKind::Anthropic => not_served("kind `anthropic`"),
            },
            EngineConfig::Inferd(_) => not_served("kind `inferd`"),
        }
    }

    fn built<B: Backend + 'static>(
        &self,
        built: Result<B, RemoteError>,
    ) -> Result<Arc<dyn Backend>, BackendError> {
        match built {
            Ok(backend) => Ok(Arc::new(backend)),
            Err(source) => Err(BackendError::Engine { name: self.name.to_owned(), source }),
        }
    }

    fn remote(&self, http: &HttpConfig) -> RemoteConfig {
        RemoteConfig {
            api_key: self.key.cloned(),
            models: self.models.iter().map(|&model| model.to_owned()).collect(),
            connect_timeout: http.timeouts.connect,
            first_token_timeout: http.timeouts.first_token,
            idle_timeout: http.timeouts.idle,
            total_timeout: http.timeouts.total,
            ..RemoteConfig::new(self.name, http.base_url.clone())
        }
    }
}

#[cfg(test)]
mod tests;

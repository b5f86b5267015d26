//! From a configured backend to one that generates.
//!
//! Invariants:
//! - What is built depends on its `Recipe` and on nothing else.

use std::sync::Arc;

use inferd_engine::anthropic::Anthropic;
use inferd_engine::inferd::{Inferd, InferdAddress, InferdConfig, InferdError};
use inferd_engine::mock::{Mock, MockConfig};
use inferd_engine::ollama::{Ollama, OllamaConfig};
use inferd_engine::openai::OpenAi;
use inferd_engine::sampling::{SamplingBackend, SamplingConfig};
use inferd_engine::{Backend, RemoteConfig, RemoteError};
use secrecy::{ExposeSecret, SecretString};

use crate::config::{
    BackendConfig, DaemonAddress, DaemonConfig, EngineConfig, HttpConfig, HttpKind, Priorities,
};
use crate::mcp::Pool;
use crate::paths::Paths;
use crate::secrets::Secrets;

/// A backend that cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("cannot build backend `{name}`")]
pub struct BackendError {
    name: String,
    #[source]
    source: EngineError,
}

/// What an engine has against its configuration.
#[derive(Debug, thiserror::Error)]
enum EngineError {
    /// An engine that is reached by HTTP.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// Another daemon.
    #[error(transparent)]
    Inferd(#[from] InferdError),
}

/// Builds a backend of its own: no client of a daemon lends its model to it. Nothing is connected to: a server that is
/// down is no error here.
///
/// # Errors
/// [`BackendError`] where the engine does not accept the configuration.
pub fn build(config: &BackendConfig, secrets: &Secrets) -> Result<Arc<dyn Backend>, BackendError> {
    Recipe::of(config, secrets).build(&Pool::default())
}

/// All that a backend is built from. Equal ones build alike, so that one need not be built again.
pub(crate) struct Recipe<'a> {
    name: &'a str,
    engine: &'a EngineConfig,
    /// Models to ask for by default, by an engine that has to name one; `*` is no model to ask for.
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
        let models = match &config.engine {
            EngineConfig::Http(_) => config.models.iter().map(String::as_str).filter(|m| *m != "*").collect(),
            EngineConfig::Mock { .. } | EngineConfig::Inferd(_) | EngineConfig::Sampling(_) => Vec::new(),
        };
        Self { name: &config.name, engine: &config.engine, models, key: secrets.of_backend(&config.name) }
    }

    /// The backend. Clients that lend their models come to `pool`.
    pub(crate) fn build(&self, pool: &Pool) -> Result<Arc<dyn Backend>, BackendError> {
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
            EngineConfig::Http(http) => match http.kind {
                HttpKind::OpenAi => self.built(OpenAi::new(self.remote(http))),
                HttpKind::Ollama => {
                    let keep_alive = http.keep_alive.clone();
                    self.built(Ollama::new(OllamaConfig { remote: self.remote(http), keep_alive }))
                }
                HttpKind::Anthropic => self.built(Anthropic::new(self.remote(http))),
            },
            EngineConfig::Inferd(daemon) => self.built(Inferd::new(self.daemon(daemon))),
            EngineConfig::Sampling(priorities) => {
                let client = Arc::new(pool.clone());
                let backend = SamplingBackend::with_config(self.name, client, asking(*priorities));
                Ok(Arc::new(backend))
            }
        }
    }

    fn built<B: Backend + 'static>(
        &self,
        built: Result<B, impl Into<EngineError>>,
    ) -> Result<Arc<dyn Backend>, BackendError> {
        match built {
            Ok(backend) => Ok(Arc::new(backend)),
            Err(source) => Err(BackendError { name: self.name.to_owned(), source: source.into() }),
        }
    }

    fn daemon(&self, daemon: &DaemonConfig) -> InferdConfig {
        let address = match &daemon.address {
            DaemonAddress::Local(Some(path)) => InferdAddress::Local(path.clone()),
            DaemonAddress::Local(None) => InferdAddress::Local(Paths::of_user().local),
            DaemonAddress::Tcp(address) => InferdAddress::Tcp(address.clone()),
        };
        InferdConfig {
            api_key: self.key.cloned(),
            connect_timeout: daemon.timeouts.connect,
            first_token_timeout: daemon.timeouts.first_token,
            idle_timeout: daemon.timeouts.idle,
            total_timeout: daemon.timeouts.total,
            ..InferdConfig::new(self.name, address)
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

#[expect(clippy::cast_possible_truncation, reason = "thousandths need no more digits")]
fn asking(priorities: Priorities) -> SamplingConfig {
    SamplingConfig {
        intelligence_priority: priorities.intelligence.get() as f32,
        speed_priority: priorities.speed.get() as f32,
        cost_priority: priorities.cost.get() as f32,
        ..SamplingConfig::default()
    }
}

#[cfg(test)]
mod tests;

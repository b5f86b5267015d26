//! From a configured backend to one that generates.

use std::sync::Arc;

use inferd_engine::Backend;
use inferd_engine::mock::{Mock, MockConfig};
use inferd_engine::openai::OpenAi;
use inferd_engine::{RemoteConfig, RemoteError};

use crate::config::{BackendConfig, EngineConfig, HttpConfig};
use crate::secrets::Secrets;

/// A backend that cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("cannot build backend `{name}`")]
pub struct BackendError {
    /// Its name.
    name: String,
    /// What the engine said.
    #[source]
    source: RemoteError,
}

/// Builds a backend. Nothing is connected to: a server that is down is no error here.
///
/// # Errors
/// [`BackendError`] where the engine does not accept the configuration.
pub fn build(config: &BackendConfig, secrets: &Secrets) -> Result<Arc<dyn Backend>, BackendError> {
    match &config.engine {
        EngineConfig::Mock { tokens, token_delay_ms, mid_stream_drop_after } => {
            let script = MockConfig {
                tokens: tokens.clone(),
                token_delay_ms: *token_delay_ms,
                mid_stream_drop_after: *mid_stream_drop_after,
                ..MockConfig::default()
            };
            Ok(Arc::new(Mock::named(config.name.clone(), script)))
        }
        EngineConfig::Http(http) => match OpenAi::new(openai(config, http, secrets)) {
            Ok(backend) => Ok(Arc::new(backend)),
            Err(source) => Err(BackendError { name: config.name.clone(), source }),
        },
    }
}

fn openai(config: &BackendConfig, http: &HttpConfig, secrets: &Secrets) -> RemoteConfig {
    RemoteConfig {
        api_key: secrets.of_backend(&config.name).cloned(),
        // The engine asks for the first of these by default; `*` is no model to ask for.
        models: config.models.iter().filter(|model| *model != "*").cloned().collect(),
        connect_timeout: http.connect_timeout,
        first_token_timeout: http.first_token_timeout,
        idle_timeout: http.idle_timeout,
        total_timeout: http.total_timeout,
        ..RemoteConfig::new(config.name.clone(), http.base_url.clone())
    }
}

#[cfg(test)]
mod tests;

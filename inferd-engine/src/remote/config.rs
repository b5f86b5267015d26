//! Where a server is and how long it may take.

use std::time::Duration;

use secrecy::SecretString;

use crate::http::BadUrl;

/// A server that generates.
#[derive(Debug, Clone)]
pub struct RemoteConfig {
    /// The backend's unique name.
    pub name: String,
    /// Such as `http://127.0.0.1:8080`; without a path the engine's usual one is appended.
    pub base_url: String,
    /// Sent with every request, in the way of the engine's protocol.
    pub api_key: Option<SecretString>,
    /// What it serves; empty: the server is asked. Requests that name no model take the first that generates.
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

impl RemoteConfig {
    /// A server without a key: 5 s to connect, 120 s to the first token, 60 s between tokens, no limit in total.
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
pub enum RemoteError {
    /// The base URL cannot be used.
    #[error(transparent)]
    BaseUrl(#[from] BadUrl),
    /// The key holds characters that no header may have, a line break perhaps.
    #[error("api key: expected printable ASCII")]
    Key,
}

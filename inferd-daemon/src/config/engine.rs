//! What a backend is made of, kind by kind.

mod own;
mod read;

use std::path::PathBuf;
use std::time::Duration;

use super::KeySource;

pub(super) use own::is_same;
pub(super) use read::{MS_MAX, engine, http_url, is_host_and_port};

/// What a backend is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineConfig {
    /// A script, for tests and demonstrations.
    Mock {
        /// The tokens of every answer.
        tokens: Vec<String>,
        /// Time before each token, in milliseconds.
        token_delay_ms: Option<u64>,
        /// End the stream without its end after this many tokens.
        mid_stream_drop_after: Option<usize>,
    },
    /// A server that speaks HTTP.
    Http(HttpConfig),
    /// Another daemon like this one.
    Inferd(DaemonConfig),
    /// MCP clients that lend their models.
    Sampling(Priorities),
}

/// What a peer that lends its model is told matters in choosing one, each a share of 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priorities {
    /// How able it is.
    pub intelligence: Share,
    /// How fast it is.
    pub speed: Share,
    /// How cheap it is.
    pub cost: Share,
}

/// From 0 to 1, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(u16);

impl Share {
    /// The nearest one; `None` where `share` is not from 0 to 1.
    #[must_use]
    pub fn new(share: f64) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1000")]
        (0.0..=1.0).contains(&share).then(|| Self((share * 1000.0).round() as u16))
    }

    /// As a number.
    #[must_use]
    pub fn get(self) -> f64 {
        f64::from(self.0) / 1000.0
    }
}

impl Default for Priorities {
    /// 0.7, 0.3, 0.4.
    fn default() -> Self {
        Self { intelligence: Share(700), speed: Share(300), cost: Share(400) }
    }
}

/// A server that generates, and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// What it speaks.
    pub kind: HttpKind,
    /// `http://` or `https://`, with a host and without a trailing slash, a user or a query.
    pub base_url: String,
    /// Where its key is.
    pub key: Option<KeySource>,
    /// How long Ollama is to keep a model in memory after a request, as it writes spans of time; `None`: as long as it
    /// does by itself.
    pub keep_alive: Option<String>,
    /// How long it may take.
    pub timeouts: Timeouts,
}

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpKind {
    /// The `OpenAI` API.
    OpenAi,
    /// The Anthropic API.
    Anthropic,
    /// Ollama's own API.
    Ollama,
}

/// Another daemon, and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonConfig {
    /// Where it takes requests.
    pub address: DaemonAddress,
    /// Where the key is that it asks for on TCP.
    pub key: Option<KeySource>,
    /// How long it may take.
    pub timeouts: Timeouts,
}

/// Where another daemon takes requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DaemonAddress {
    /// At a local socket or pipe of this machine; `None`: where this user's daemon is found (see
    /// [`crate::paths::Paths`]).
    Local(Option<PathBuf>),
    /// On TCP: a host, a colon and a port.
    Tcp(String),
}

/// How long a server may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect.
    pub connect: Duration,
    /// From the request to the first token.
    pub first_token: Duration,
    /// Between two tokens.
    pub idle: Duration,
    /// From the request to the end.
    pub total: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_token: Duration::from_secs(120),
            idle: Duration::from_secs(60),
            total: None,
        }
    }
}

impl HttpConfig {
    /// A server at `base_url` that needs no key and has the usual time.
    #[must_use]
    pub fn new(kind: HttpKind, base_url: impl Into<String>) -> Self {
        let timeouts = Timeouts::default();
        Self { kind, base_url: base_url.into(), key: None, keep_alive: None, timeouts }
    }
}

impl EngineConfig {
    /// Its kind, as the file spells it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Mock { .. } => "mock",
            Self::Http(HttpConfig { kind: HttpKind::OpenAi, .. }) => "openai",
            Self::Http(HttpConfig { kind: HttpKind::Anthropic, .. }) => "anthropic",
            Self::Http(HttpConfig { kind: HttpKind::Ollama, .. }) => "ollama",
            Self::Inferd(_) => "inferd",
            Self::Sampling(_) => "sampling",
        }
    }

    /// Where its key is, if it needs one.
    #[must_use]
    pub fn key(&self) -> Option<&KeySource> {
        match self {
            Self::Http(http) => http.key.as_ref(),
            Self::Inferd(daemon) => daemon.key.as_ref(),
            Self::Mock { .. } | Self::Sampling(_) => None,
        }
    }

    /// Every path in it that may be relative to the file.
    pub(super) fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let (key, local) = match self {
            Self::Http(http) => (http.key.as_mut(), None),
            Self::Inferd(daemon) => {
                let local = match &mut daemon.address {
                    DaemonAddress::Local(path) => path.as_mut(),
                    DaemonAddress::Tcp(_) => None,
                };
                (daemon.key.as_mut(), local)
            }
            Self::Mock { .. } | Self::Sampling(_) => (None, None),
        };
        key.and_then(KeySource::path_mut).into_iter().chain(local)
    }
}

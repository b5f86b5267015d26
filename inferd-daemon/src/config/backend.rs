//! One `[[backends]]`: what generates, under which name, for which models.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::KeySource;
use super::error::ConfigError;
use super::read::COUNT_MAX;
use super::section::Section;

/// A backend as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendConfig {
    /// Unique.
    pub name: String,
    /// What it is made of.
    pub engine: EngineConfig,
    /// The models it serves; empty: those it says it serves.
    pub models: Vec<String>,
    /// Other names of its models.
    pub aliases: BTreeMap<String, String>,
    /// Lower is tried first.
    pub priority: i32,
    /// Requests it runs at a time; `None`: as many as are admitted.
    pub concurrency: Option<usize>,
}

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
    /// A server.
    Http(HttpConfig),
}

impl EngineConfig {
    /// Its kind, as the file spells it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Mock { .. } => "mock",
            Self::Http(http) => match http.kind {
                HttpKind::OpenAi => "openai",
                HttpKind::Ollama => "ollama",
            },
        }
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
    /// To connect.
    pub connect_timeout: Duration,
    /// From the request to the first token.
    pub first_token_timeout: Duration,
    /// Between two tokens.
    pub idle_timeout: Duration,
    /// From the request to the end.
    pub total_timeout: Option<Duration>,
}

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpKind {
    /// The OpenAI API.
    OpenAi,
    /// Ollama's own API.
    Ollama,
}

const MOCK_KEYS: [&str; 3] = ["tokens", "token_delay_ms", "mid_stream_drop_after"];

const HTTP_KEYS: [&str; 8] = [
    "base_url",
    "api_key_env",
    "api_key_file",
    "connect_timeout_s",
    "first_token_timeout_s",
    "idle_timeout_s",
    "total_timeout_s",
    "hedge_after_ms",
];

const MS: RangeInclusive<i64> = 0..=86_400_000;

impl HttpConfig {
    /// A server at `base_url` that needs no key and has the usual time.
    #[must_use]
    pub fn new(kind: HttpKind, base_url: impl Into<String>) -> Self {
        Self {
            kind,
            base_url: base_url.into(),
            key: None,
            connect_timeout: Duration::from_secs(5),
            first_token_timeout: Duration::from_secs(120),
            idle_timeout: Duration::from_secs(60),
            total_timeout: None,
        }
    }
}

impl BackendConfig {
    /// A backend of this name with no models, aliases or limits of its own.
    #[must_use]
    pub fn new(name: impl Into<String>, engine: EngineConfig) -> Self {
        Self {
            name: name.into(),
            engine,
            models: Vec::new(),
            aliases: BTreeMap::new(),
            priority: 0,
            concurrency: None,
        }
    }

    /// Where its key is, if it needs one.
    #[must_use]
    pub fn key(&self) -> Option<&KeySource> {
        match &self.engine {
            EngineConfig::Http(http) => http.key.as_ref(),
            EngineConfig::Mock { .. } => None,
        }
    }

    pub(super) fn key_mut(&mut self) -> Option<&mut KeySource> {
        match &mut self.engine {
            EngineConfig::Http(http) => http.key.as_mut(),
            EngineConfig::Mock { .. } => None,
        }
    }

    pub(super) fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        let name = section.text("name")?.ok_or_else(|| section.wrong("name", "every backend needs one"))?;
        let kind = section.text("kind")?.ok_or_else(|| section.wrong("kind", "every backend needs one"))?;
        let engine = match kind.as_str() {
            "mock" => mock(section)?,
            "openai" => http(section, HttpKind::OpenAi)?,
            "ollama" => http(section, HttpKind::Ollama)?,
            "anthropic" | "inferd" | "sampling" => {
                return Err(section.wrong("kind", format!("kind `{kind}` is not served by this version")));
            }
            _ => return Err(section.wrong("kind", "expected `mock`, `openai` or `ollama`")),
        };
        let backend = Self {
            models: section.texts("models")?.unwrap_or_default(),
            aliases: section.names("aliases")?.unwrap_or_default(),
            priority: section.whole("priority", -1000..=1000)?.unwrap_or_default(),
            concurrency: section.whole("concurrency", 1..=COUNT_MAX)?,
            ..Self::new(name, engine)
        };
        backend.check_models(section)?;
        Ok(backend)
    }

    fn check_models(&self, section: &Section<'_>) -> Result<(), ConfigError> {
        if self.models.iter().any(|model| model.trim().is_empty()) {
            return Err(section.wrong("models", "expected names, got an empty one"));
        }
        let served =
            |model: &String| self.models.contains(model) || self.models.iter().any(|known| known == "*");
        match self.aliases.iter().find(|(_, model)| !self.models.is_empty() && !served(model)) {
            Some((alias, model)) => {
                Err(section
                    .wrong("aliases", format!("`{alias}` stands for `{model}`, which is not in `models`")))
            }
            None => Ok(()),
        }
    }
}

/// Refuses the keys of another kind.
fn none_of(section: &Section<'_>, keys: &[&str], whose: &str) -> Result<(), ConfigError> {
    match keys.iter().find(|key| section.has(key)) {
        Some(key) => Err(section.wrong(key, format!("only backends of kind {whose} have this"))),
        None => Ok(()),
    }
}

fn mock(section: &Section<'_>) -> Result<EngineConfig, ConfigError> {
    none_of(section, &HTTP_KEYS, "`openai` or `ollama`")?;
    let tokens = section.texts("tokens")?.unwrap_or_else(|| vec!["mock-response".to_owned()]);
    if tokens.iter().any(String::is_empty) {
        return Err(section.wrong("tokens", "expected tokens, got an empty one"));
    }
    Ok(EngineConfig::Mock {
        tokens,
        token_delay_ms: section.whole("token_delay_ms", MS)?,
        mid_stream_drop_after: section.whole("mid_stream_drop_after", 0..=COUNT_MAX)?,
    })
}

fn http(section: &Section<'_>, kind: HttpKind) -> Result<EngineConfig, ConfigError> {
    none_of(section, &MOCK_KEYS, "`mock`")?;
    if section.has("hedge_after_ms") {
        return Err(section.wrong("hedge_after_ms", "hedging is not served by this version"));
    }
    let mut http = HttpConfig::new(kind, base_url(section)?);
    http.key = super::read::key_source(section, "api_key_file")?;
    http.connect_timeout = section.seconds("connect_timeout_s")?.unwrap_or(http.connect_timeout);
    http.first_token_timeout = section.seconds("first_token_timeout_s")?.unwrap_or(http.first_token_timeout);
    http.idle_timeout = section.seconds("idle_timeout_s")?.unwrap_or(http.idle_timeout);
    http.total_timeout = section.seconds("total_timeout_s")?;
    Ok(EngineConfig::Http(http))
}

fn base_url(section: &Section<'_>) -> Result<String, ConfigError> {
    let wrong = |reason| Err(section.wrong("base_url", reason));
    let Some(url) = section.text("base_url")? else {
        return wrong("this kind of backend needs one, as in \"http://127.0.0.1:8080\"");
    };
    let Some(rest) = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")) else {
        return wrong("expected a URL that begins with http:// or https://");
    };
    let host = rest.split('/').next().unwrap_or_default();
    if host.contains('@') {
        return wrong("a URL here holds no user or password: use `api_key_env` or `api_key_file`");
    }
    if host.is_empty() || host.starts_with(':') {
        return wrong("expected a host after http:// or https://");
    }
    if rest.contains(['?', '#']) || rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return wrong("expected a URL without spaces, query or fragment");
    }
    Ok(url.trim_end_matches('/').to_owned())
}

//! One `[[backends]]`: what generates, under which name, for which models, and how it is used beside others.

use std::collections::BTreeMap;
use std::time::Duration;

use super::engine::{EngineConfig, MS_MAX, engine};
use super::error::ConfigError;
use super::read::COUNT_MAX;
use super::section::Section;

/// What peers that lend their models may be asked at a time, unless something else is said: they take no slot.
const PEERS_ASKED_MAX: usize = 64;

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
    /// How long it may be silent before another backend is asked as well; `None`: none is.
    pub hedge_after: Option<Duration>,
}

impl BackendConfig {
    /// A backend of this name with no models and aliases, and no limits of its own but what peers may be asked at a time.
    #[must_use]
    pub fn new(name: impl Into<String>, engine: EngineConfig) -> Self {
        let concurrency = matches!(engine, EngineConfig::Sampling(_)).then_some(PEERS_ASKED_MAX);
        Self {
            name: name.into(),
            engine,
            models: Vec::new(),
            aliases: BTreeMap::new(),
            priority: 0,
            concurrency,
            hedge_after: None,
        }
    }

    pub(super) fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        let name = section.text("name")?.ok_or_else(|| section.wrong("name", "every backend needs one"))?;
        let backend = Self {
            models: section.texts("models")?.unwrap_or_default(),
            aliases: section.names("aliases")?.unwrap_or_default(),
            priority: section.whole("priority", -1000..=1000)?.unwrap_or_default(),
            hedge_after: section.whole("hedge_after_ms", 1..=MS_MAX)?.map(Duration::from_millis),
            ..Self::new(name, engine(section)?)
        };
        let backend = match section.whole("concurrency", 1..=COUNT_MAX)? {
            Some(limit) => Self { concurrency: Some(limit), ..backend },
            None => backend,
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

//! Which model answers a request that names none: the first that is configured, or that the server lists, and that by
//! its name is for the purpose.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a model is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Answers.
    Generate,
    /// Vectors.
    Embed,
}

/// What the names of models that do not generate tell of them.
const EMBEDS: [&str; 4] = ["embed", "minilm", "bge-", "gte-"];
const DOES_NEITHER: [&str; 6] = ["rerank", "whisper", "tts-", "dall-e", "moderation", "transcribe"];

/// The models of one server.
#[derive(Debug)]
pub(super) struct Defaults {
    configured: Vec<String>,
    learnt: Mutex<Vec<String>>,
}

impl Defaults {
    pub(super) fn new(configured: Vec<String>) -> Self {
        Self { configured, learnt: Mutex::default() }
    }

    /// The model for `purpose`, if any is known: where no name tells, the first.
    pub(super) fn model_for(&self, purpose: Purpose) -> Option<String> {
        let learnt = self.learnt();
        let known = if self.configured.is_empty() { &*learnt } else { &self.configured };
        known.iter().find(|model| suits(model, purpose)).or(known.first()).cloned()
    }

    pub(super) fn learn(&self, models: &[String]) {
        models.clone_into(&mut self.learnt());
    }

    pub(super) fn forget(&self) {
        self.learnt().clear();
    }

    fn learnt(&self) -> MutexGuard<'_, Vec<String>> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn suits(model: &str, purpose: Purpose) -> bool {
    let model = model.to_ascii_lowercase();
    let embeds = EMBEDS.iter().any(|part| model.contains(part));
    match purpose {
        Purpose::Embed => embeds,
        Purpose::Generate => !embeds && !DOES_NEITHER.iter().any(|part| model.contains(part)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn the_first_model_that_is_for_the_purpose_is_taken() {
        let defaults = Defaults::new(Vec::new());
        defaults.learn(&names(&["nomic-embed-text:latest", "whisper-1", "llama3.1:8b", "qwen3:4b"]));
        assert_eq!(defaults.model_for(Purpose::Generate).as_deref(), Some("llama3.1:8b"));
        assert_eq!(defaults.model_for(Purpose::Embed).as_deref(), Some("nomic-embed-text:latest"));
    }

    #[test]
    fn what_is_configured_goes_before_what_was_learnt() {
        let defaults = Defaults::new(names(&["mine"]));
        defaults.learn(&names(&["other"]));
        assert_eq!(defaults.model_for(Purpose::Generate).as_deref(), Some("mine"));
        assert_eq!(defaults.model_for(Purpose::Embed).as_deref(), Some("mine"));
    }

    #[test]
    fn what_was_forgotten_has_to_be_learnt_again() {
        let defaults = Defaults::new(Vec::new());
        assert_eq!(defaults.model_for(Purpose::Generate), None);
        defaults.learn(&names(&["one"]));
        defaults.forget();
        assert_eq!(defaults.model_for(Purpose::Generate), None);
    }
}

//! `/api/tags`: the names of what Ollama has.

use serde::Deserialize;

use super::Ollama;
use crate::GenerateError;
use crate::remote::{LIST_BYTES_MAX, each_once};

/// The tag that a name without one stands for.
const DEFAULT_TAG: &str = ":latest";

#[derive(Deserialize)]
struct List {
    /// `null` where there is none.
    models: Option<Vec<Listed>>,
}

#[derive(Deserialize)]
struct Listed {
    /// The name, of which `model` is another spelling: old servers have the one only, some clients' types the other.
    name: Option<String>,
    model: Option<String>,
    /// What it can do, where the server tells.
    capabilities: Option<Vec<String>>,
}

impl Listed {
    fn generates(&self) -> bool {
        self.capabilities.as_ref().is_none_or(|can| can.iter().any(|can| can == "completion"))
    }
}

impl Ollama {
    /// The names, in the server's order, each once; those that do not generate come last. A name with the tag `latest`
    /// is followed by the name without it, which stands for the same.
    pub(super) async fn list_models(&self) -> Result<Vec<String>, GenerateError> {
        let list: List = self.remote.get(&self.tags, LIST_BYTES_MAX, "the list of models is").await?;
        let mut models = list.models.unwrap_or_default();
        models.sort_by_key(|model| !model.generates());
        let names = models.into_iter().filter_map(|model| model.name.or(model.model));
        Ok(each_once(names.flat_map(|name| {
            let bare = name.strip_suffix(DEFAULT_TAG).map(str::to_owned);
            [Some(name), bare].into_iter().flatten()
        })))
    }
}

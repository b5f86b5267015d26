//! `/v1/models`: the names an engine answers to.

use serde::Deserialize;

use super::OpenAi;
use crate::GenerateError;

/// The most bytes of a list of models.
const LIST_BYTES_MAX: usize = 8 * 1024 * 1024;

#[derive(Deserialize)]
struct List {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
}

impl OpenAi {
    /// The names, in the server's order, each once.
    pub(super) async fn list_models(&self) -> Result<Vec<String>, GenerateError> {
        let list: List = self.remote.get(&self.models, LIST_BYTES_MAX, "the list of models is").await?;
        let mut models: Vec<String> = Vec::with_capacity(list.data.len());
        for Model { id } in list.data {
            if !models.contains(&id) {
                models.push(id);
            }
        }
        Ok(models)
    }
}

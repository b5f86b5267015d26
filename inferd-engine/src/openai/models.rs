//! `/v1/models`: the names an engine answers to.

use serde::Deserialize;

use super::OpenAi;
use crate::GenerateError;
use crate::remote::{LIST_BYTES_MAX, each_once};

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
        Ok(each_once(list.data.into_iter().map(|model| model.id)))
    }
}

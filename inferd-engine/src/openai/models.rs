//! `/v1/models`: the names an engine answers to.

use bytes::Bytes;
use hyper::Method;
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
    /// The names, sorted.
    pub(super) async fn list_models(&self) -> Result<Vec<String>, GenerateError> {
        let answer = self.send(Method::GET, &self.models, Bytes::new(), "").await?;
        let list: List =
            serde_json::from_slice(&answer.body.read(LIST_BYTES_MAX).await?).map_err(|error| {
                GenerateError::Unavailable(format!("the list of models is not understood: {error}"))
            })?;
        let mut models: Vec<String> = list.data.into_iter().map(|model| model.id).collect();
        models.sort_unstable();
        models.dedup();
        Ok(models)
    }
}

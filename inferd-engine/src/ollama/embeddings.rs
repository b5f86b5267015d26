//! `/api/embed`: texts in, vectors out.

use inferd_proto::{EmbedRequest, EmbedUsage};
use serde::{Deserialize, Serialize};

use super::Ollama;
use crate::remote::{Purpose, VECTORS_BYTES_MAX, checked, count, read};
use crate::{Embedded, GenerateError};

#[derive(Serialize)]
struct Texts<'a> {
    model: &'a str,
    input: &'a [String],
    /// Else Ollama cuts off what is too long for the model, and the vector of a part passes for that of the whole.
    truncate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_alive: Option<&'a str>,
}

#[derive(Deserialize)]
struct Vectors {
    embeddings: Vec<Vec<f32>>,
    model: Option<String>,
    prompt_eval_count: Option<u64>,
}

impl Ollama {
    pub(super) async fn embed_texts(&self, request: &EmbedRequest) -> Result<Embedded, GenerateError> {
        let named = request.model.as_deref();
        let model = self.remote.model_for(named, Purpose::Embed, || self.list_models()).await?;
        let texts = Texts {
            model: &model,
            input: &request.input,
            truncate: false,
            dimensions: request.dimensions,
            keep_alive: self.keep_alive.as_deref(),
        };
        let answer = self.remote.post(&self.embed, &texts, &model).await?;
        let vectors: Vectors = read(answer, VECTORS_BYTES_MAX, "the vectors are").await?;
        Ok(Embedded {
            embeddings: checked(vectors.embeddings, request.input.len())?,
            model: vectors.model.unwrap_or(model),
            usage: EmbedUsage { prompt_tokens: count(vectors.prompt_eval_count) },
        })
    }
}

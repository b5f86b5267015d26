//! `/v1/embeddings`: texts in, vectors out.

use inferd_proto::{EmbedRequest, EmbedUsage};
use serde::{Deserialize, Serialize};

use super::OpenAi;
use crate::remote::{Purpose, VECTORS_BYTES_MAX, checked, read};
use crate::{Embedded, GenerateError};

#[derive(Serialize)]
struct Texts<'a> {
    model: &'a str,
    input: &'a [String],
    encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
}

#[derive(Deserialize)]
struct Vectors {
    data: Vec<Vector>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    usage: Option<EmbedUsage>,
}

#[derive(Deserialize)]
struct Vector {
    index: Option<usize>,
    embedding: Vec<f32>,
}

impl OpenAi {
    pub(super) async fn embed_texts(&self, request: &EmbedRequest) -> Result<Embedded, GenerateError> {
        let named = request.model.as_deref();
        let model = self.remote.model_for(named, Purpose::Embed, || self.list_models()).await?;
        let (input, dimensions) = (&request.input, request.dimensions);
        let texts = Texts { model: &model, input, encoding_format: "float", dimensions };
        let answer = self.remote.post(&self.embeddings, &texts, &model).await?;
        let vectors: Vectors = read(answer, VECTORS_BYTES_MAX, "the vectors are").await?;
        arrange(vectors, input.len(), &model)
    }
}

/// Puts the vectors in the order of the texts.
fn arrange(mut vectors: Vectors, texts: usize, asked: &str) -> Result<Embedded, GenerateError> {
    vectors.data.sort_by_key(|vector| vector.index);
    let embeddings = checked(vectors.data.into_iter().map(|vector| vector.embedding).collect(), texts)?;
    let model = vectors.model.unwrap_or_else(|| asked.to_owned());
    Ok(Embedded { embeddings, model, usage: vectors.usage.unwrap_or_default() })
}

//! Embeddings: one request, one frame.

use serde::{Deserialize, Serialize};

/// Asks for a vector for each text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct EmbedRequest {
    /// Echoed on the answer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The texts; not empty.
    pub input: Vec<String>,
    /// A model name or alias that the router knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Length of the vectors, where the model can shorten them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u32>,
}

/// The answer to an [`EmbedRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "embeddings")]
pub struct Embeddings {
    /// The request's id.
    pub id: String,
    /// One vector a text, in the order of the input.
    pub embeddings: Vec<Vec<f32>>,
    /// Length of each vector.
    pub dimensions: usize,
    /// The model that made them.
    pub model: String,
    /// Tokens read.
    pub usage: EmbedUsage,
    /// The lane that answered.
    pub backend: String,
}

/// Tokens of one embedding request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EmbedUsage {
    /// Tokens of the texts.
    pub prompt_tokens: u32,
}

//! Embeddings: one request, one frame.

use serde::{Deserialize, Serialize};

use crate::ProtoError;

/// The most texts of one request: as many as OpenAI's API takes.
pub const TEXTS_MAX: usize = 2048;

/// Asks for a vector for each text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct EmbedRequest {
    /// Echoed on the answer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The texts: 1 to [`TEXTS_MAX`], none of them empty.
    pub input: Vec<String>,
    /// A model name or alias that the router knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Length of the vectors, where the model can shorten them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u32>,
}

impl EmbedRequest {
    /// Checks every rule of the request and names the field that breaks one.
    ///
    /// # Errors
    /// [`ProtoError::InvalidRequest`] naming the field and what was expected.
    pub fn check(&self) -> Result<(), ProtoError> {
        let invalid = |reason: String| Err(ProtoError::InvalidRequest(reason));
        if self.input.is_empty() || self.input.len() > TEXTS_MAX {
            return invalid(format!("input: expected 1 to {TEXTS_MAX} texts, got {}", self.input.len()));
        }
        if let Some(at) = self.input.iter().position(String::is_empty) {
            return invalid(format!("input[{at}]: expected text, got an empty one"));
        }
        if self.dimensions == Some(0) {
            return invalid("dimensions: expected at least 1".to_owned());
        }
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(input: &[&str], dimensions: Option<u32>) -> Option<String> {
        let input = input.iter().map(|&text| text.to_owned()).collect();
        let request = EmbedRequest { input, dimensions, ..EmbedRequest::default() };
        request.check().err().map(|error| error.to_string())
    }

    #[test]
    fn each_rule_is_named_with_its_field() {
        assert_eq!(refused(&["a", " "], Some(1)), None);
        assert_eq!(refused(&[], None).as_deref(), Some("input: expected 1 to 2048 texts, got 0"));
        assert_eq!(refused(&vec!["a"; TEXTS_MAX], None), None);
        assert_eq!(
            refused(&vec!["a"; TEXTS_MAX + 1], None).as_deref(),
            Some("input: expected 1 to 2048 texts, got 2049")
        );
        assert_eq!(refused(&["a", ""], None).as_deref(), Some("input[1]: expected text, got an empty one"));
        assert_eq!(refused(&["a"], Some(0)).as_deref(), Some("dimensions: expected at least 1"));
    }
}

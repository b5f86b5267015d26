//! A backend for tests that makes vectors.

use async_trait::async_trait;
use inferd_engine::{Backend, Capabilities, Embedded, GenerateError, TokenStream};
use inferd_proto::{EmbedRequest, EmbedUsage, Resolved};

/// Makes vectors of this length, and answers nothing; or never gets round to it.
pub(crate) struct Vectors {
    pub(crate) dimensions: usize,
    pub(crate) hangs: bool,
}

#[async_trait]
impl Backend for Vectors {
    fn name(&self) -> &'static str {
        "vectors"
    }

    fn ready(&self) -> bool {
        true
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { embed: true, ..Capabilities::default() }
    }

    async fn generate(&self, _request: Resolved) -> Result<TokenStream, GenerateError> {
        Err(GenerateError::Unavailable("only embeds".to_owned()))
    }

    async fn embed(&self, request: EmbedRequest) -> Result<Embedded, GenerateError> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        Ok(Embedded {
            embeddings: request.input.iter().map(|_| vec![0.1; self.dimensions]).collect(),
            model: request.model.unwrap_or_else(|| "m".to_owned()),
            usage: EmbedUsage { prompt_tokens: 3 },
        })
    }
}

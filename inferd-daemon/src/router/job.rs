//! What a lane can be asked to do: one kind of request each, tried on one lane after the other in the same way.

use futures_util::StreamExt;
use inferd_engine::{Embedded, GenerateError, TokenEvent, TokenStream};
use inferd_proto::{EmbedRequest, Resolved};

use super::lane::Lane;
use crate::queue::{Need, Work};

/// What a stream that just ended is called.
pub(super) const CUT_SHORT: &str = "the answer was cut short";

/// A request that may be tried more than once. A copy is cheap beside an attempt.
pub(super) trait Job: Clone + Send {
    /// What an attempt comes to. Once there is one there is no other attempt.
    type Begun: Send;

    fn need(&self) -> Need<'_>;

    /// Does it on `lane`. Dropped, it is cancelled there.
    fn attempt(
        self: Box<Self>,
        lane: &Lane,
    ) -> impl Future<Output = Result<Self::Begun, GenerateError>> + Send;
}

impl Job for Resolved {
    /// The first event, and what follows it.
    type Begun = (TokenEvent, TokenStream);

    fn need(&self) -> Need<'_> {
        Need { model: self.model.as_deref(), work: Work::Generate }
    }

    async fn attempt(mut self: Box<Self>, lane: &Lane) -> Result<Self::Begun, GenerateError> {
        self.model = self.model.map(|model| lane.resolve(model));
        let mut stream = lane.backend().generate(*self).await?;
        match stream.next().await {
            Some(TokenEvent::Failed(error)) => Err(error),
            Some(first) => Ok((first, stream)),
            None => Err(GenerateError::Unavailable(CUT_SHORT.into())),
        }
    }
}

impl Job for EmbedRequest {
    type Begun = Embedded;

    fn need(&self) -> Need<'_> {
        Need { model: self.model.as_deref(), work: Work::Embed }
    }

    async fn attempt(mut self: Box<Self>, lane: &Lane) -> Result<Self::Begun, GenerateError> {
        self.model = self.model.map(|model| lane.resolve(model));
        lane.backend().embed(*self).await
    }
}

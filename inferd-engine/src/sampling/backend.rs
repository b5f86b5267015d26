//! A backend whose model is somewhere behind a [`SamplingClient`].
//!
//! A [`Resolved`] request becomes a call (`params`), the answer comes in one piece and becomes events (`events`).
//!
//! Invariant: dropping the wait for an answer takes the call back.

mod events;
mod params;
mod shape;

use std::sync::Arc;

use async_trait::async_trait;
use inferd_proto::Resolved;

use super::call::{Call, refuse_re_entry};
use super::client::SamplingClient;
use super::config::SamplingConfig;
use super::error::SamplingError;
use super::signs::Signs;
use super::standoff::Waiting;
use crate::{Backend, Capabilities, GenerateError, TokenEvent, TokenStream};

/// See the module.
pub struct SamplingBackend {
    name: String,
    client: Arc<dyn SamplingClient>,
    config: SamplingConfig,
}

impl SamplingBackend {
    /// The backend `name` over `client`, with a time-out of 30 s of the peer's own time.
    #[must_use]
    pub fn new(name: impl Into<String>, client: Arc<dyn SamplingClient>) -> Self {
        Self::with_config(name, client, SamplingConfig::default())
    }

    /// As `config` says.
    #[must_use]
    pub fn with_config(
        name: impl Into<String>,
        client: Arc<dyn SamplingClient>,
        config: SamplingConfig,
    ) -> Self {
        Self { name: name.into(), client, config }
    }

    async fn ask(&self, mut request: Resolved) -> Result<Vec<TokenEvent>, SamplingError> {
        let offer = self.client.offer();
        if !offer.available {
            return Err(SamplingError::NoPeer);
        }
        refuse_re_entry(&request.caller, self.client.session().as_deref())?;
        let (signs, heard) = Signs::pair();
        let caller = request.caller.clone();
        let format = request.response_format.clone();
        // Who names the backend itself has no model in mind.
        request.model = request.model.filter(|model| *model != self.name);
        let params = params::of(request, &self.config, offer)?;
        let read = events::estimate(&params);
        let call = Call { params, caller, alone: format.is_some(), signs };
        let result = self.config.patience.wait(heard, self.client.call(call)).await?;
        events::of(&result, read, format.as_ref())
    }
}

#[async_trait]
impl Backend for SamplingBackend {
    fn name(&self) -> &str {
        &self.name
    }

    /// Whether a peer is connected.
    fn ready(&self) -> bool {
        self.client.offer().available
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { vision: true, tools: self.client.offer().tools, ..Capabilities::default() }
    }

    fn stand_off(&self, session: &str) -> Result<Vec<Waiting>, GenerateError> {
        Ok(self.client.stand_off(session)?)
    }

    /// Resolves with the whole answer: a peer gives no part of one.
    async fn generate(&self, request: Resolved) -> Result<TokenStream, GenerateError> {
        let events = self.ask(request).await?;
        Ok(Box::pin(futures_util::stream::iter(events)))
    }
}

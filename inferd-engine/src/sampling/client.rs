//! What takes a call to a peer.

use std::sync::Arc;

use async_trait::async_trait;
use rmcp::model::{CreateMessageRequestParams, CreateMessageResult};

use super::call::Call;
use super::error::SamplingError;
use super::standoff::Waiting;

/// What can be had of a client now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Somebody is there to be asked.
    pub available: bool,
    /// Who is there takes tools (`sampling.tools`).
    pub tools: bool,
}

impl Default for Offer {
    /// Somebody, without tools.
    fn default() -> Self {
        Self { available: true, tools: false }
    }
}

/// A peer that generates, several of them, or something that stands before them. Shared by all calls.
///
/// Dropping a future of one of its methods takes the call back: a client whose peer was asked sends it
/// `notifications/cancelled`.
#[async_trait]
pub trait SamplingClient: Send + Sync {
    /// Asks for one message.
    ///
    /// # Errors
    /// [`SamplingError`], each way of failing as its own.
    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
    ) -> Result<CreateMessageResult, SamplingError>;

    /// The same, with what else is known of the call. Whoever implements this tells `call.signs` when the peer is
    /// asked and whenever it reports progress.
    ///
    /// # Errors
    /// As for `create_message`.
    async fn call(&self, call: Call) -> Result<CreateMessageResult, SamplingError> {
        call.signs.alive();
        self.create_message(call.params).await
    }

    /// What can be had of it now.
    fn offer(&self) -> Offer {
        Offer::default()
    }

    /// To be asked before a request that came by `session` waits for a permit, and to be held until it has one.
    ///
    /// # Errors
    /// [`SamplingError::ReEntry`] while anybody waits for the peer of that session.
    fn stand_off(&self, _session: &str) -> Result<Vec<Waiting>, SamplingError> {
        Ok(Vec::new())
    }

    /// The MCP session of its peer, where it has exactly one.
    fn session(&self) -> Option<Arc<str>> {
        None
    }
}

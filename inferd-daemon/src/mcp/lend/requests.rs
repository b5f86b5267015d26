//! A peer that is asked by requests of the server's own, as revisions up to 2025-11-25 have them: on a stream of its
//! session, the standalone one or that of a call of the client's.
//!
//! Invariants:
//! - A request that was sent is answered or taken back: one that is dropped is followed by `notifications/cancelled`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::FutureExt;
use inferd_engine::sampling::{
    Call, CreateMessageRequestParams, CreateMessageResult, Offer, SamplingClient, SamplingError, Signs,
};
use rmcp::model::{
    CancelledNotification, CancelledNotificationParam, ClientResult, CreateMessageRequest, ProgressToken,
    RequestId, ServerRequest,
};
use rmcp::service::{OriginatingRequestId, PeerRequestOptions, ServiceError};
use rmcp::{Peer, RoleServer};

/// Why a client is told that it need not answer any more.
const TAKEN_BACK: &str = "nobody waits for the answer any more";

/// See the module.
pub(super) struct Requests {
    /// The client.
    pub(super) peer: Peer<RoleServer>,
    /// Its session.
    pub(super) session: Arc<str>,
    /// The call of the client's in whose stream they go; `None`: the standalone stream.
    pub(super) within: Option<RequestId>,
    /// Whether it takes tools.
    pub(super) tools: bool,
    /// Where the session's signs of life come in.
    pub(super) progress: Progress,
}

/// What a session's client has been asked, by what it reports progress under. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress(Arc<Mutex<HashMap<ProgressToken, Signs>>>);

impl Progress {
    /// The client reports progress.
    pub(crate) fn made(&self, token: &ProgressToken) {
        if let Some(signs) = self.asked().get(token) {
            signs.alive();
        }
    }

    /// Nothing can panic under it.
    fn asked(&self) -> MutexGuard<'_, HashMap<ProgressToken, Signs>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SamplingClient for Requests {
    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
    ) -> Result<CreateMessageResult, SamplingError> {
        self.call(Call::from(params)).await
    }

    async fn call(&self, call: Call) -> Result<CreateMessageResult, SamplingError> {
        let mut request = CreateMessageRequest::new(call.params);
        if let Some(within) = &self.within {
            request.extensions.insert(OriginatingRequestId(within.clone()));
        }
        let request = ServerRequest::CreateMessageRequest(request);
        let sent = self.peer.send_request_with_option(request, PeerRequestOptions::no_options()).await;
        let sent = sent.map_err(|error| failure(&error))?;
        let (id, token) = (sent.id.clone(), sent.progress_token.clone());
        let mut asked = Asked { of: self, id, token, answered: false };
        self.progress.asked().insert(asked.token.clone(), call.signs.clone());
        call.signs.alive();
        let answered = sent.await_response().await;
        asked.answered = true;
        drop(asked);
        match answered.map_err(|error| failure(&error))? {
            ClientResult::CreateMessageResult(result) => Ok(*result),
            _ => Err(SamplingError::Malformed("it is not the result of sampling/createMessage".to_owned())),
        }
    }

    fn offer(&self) -> Offer {
        Offer { available: !self.peer.is_transport_closed(), tools: self.tools }
    }

    fn session(&self) -> Option<Arc<str>> {
        Some(Arc::clone(&self.session))
    }
}

fn failure(error: &ServiceError) -> SamplingError {
    match error {
        ServiceError::McpError(said) => SamplingError::said(said.code.0.into(), &said.message),
        ServiceError::UnexpectedResponse => {
            SamplingError::Malformed("it is the result of something else".to_owned())
        }
        error => SamplingError::Transport(error.to_string()),
    }
}

/// A request to the client, until it is answered or nobody waits for that.
struct Asked<'a> {
    of: &'a Requests,
    id: RequestId,
    token: ProgressToken,
    answered: bool,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.of.progress.asked().remove(&self.token);
        if self.answered {
            return;
        }
        let params = CancelledNotificationParam::new(Some(self.id.clone()), Some(TAKEN_BACK.to_owned()));
        // The first poll hands it over; that it was sent is nothing to wait for.
        self.of.peer.send_notification(CancelledNotification::new(params).into()).now_or_never();
    }
}

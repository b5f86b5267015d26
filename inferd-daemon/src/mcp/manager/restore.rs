//! Sessions that outlive the daemon: one that is asked for and not served is brought back, and rmcp told what its client
//! said when it began.
//!
//! Invariants:
//! - A session comes back for its principal alone.
//! - The calls that were open when the daemon ended are answered: they failed.

use std::sync::Arc;

use async_trait::async_trait;
use rmcp::ErrorData;
use rmcp::model::{InitializeRequestParams, JsonRpcError, RequestId, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_server::session::{
    SessionState as Remembered, SessionStore as Memory, SessionStoreError,
};
use serde::Deserialize;
use tokio::time::Instant;

use super::{as_value, handover};
use crate::mcp::session::{SessionId, SessionState, SessionStore};

/// What rmcp asks for a session that is not served.
#[derive(Debug)]
pub(crate) struct Recall(pub(crate) SessionStore);

#[async_trait]
impl Memory for Recall {
    async fn load(&self, id: &str) -> Result<Option<Remembered>, SessionStoreError> {
        let (Some(id), Some(principal)) = (SessionId::parse(id), handover::principal()) else {
            return Ok(None);
        };
        let Some(restored) = self.0.restore(&id, &principal, Instant::now()).await else { return Ok(None) };
        if restored.anew {
            end_open_calls(&restored.session);
        }
        let said = restored.session.initialize().map(|said| InitializeRequestParams::deserialize(&**said));
        Ok(said.transpose()?.map(Remembered::new))
    }

    /// The session itself remembers, see [`super::Manager`].
    async fn store(&self, _: &str, _: &Remembered) -> Result<(), SessionStoreError> {
        Ok(())
    }

    /// What ends a session forgets it.
    async fn delete(&self, _: &str) -> Result<(), SessionStoreError> {
        Ok(())
    }
}

/// Answers the calls that a restart cut off.
fn end_open_calls(session: &SessionState) {
    for (stream, request) in session.unfinished() {
        let id = request.and_then(|request| serde_json::from_value::<RequestId>(request).ok());
        let error = ErrorData::internal_error("the daemon was started anew before the call was done", None);
        let last = as_value(&ServerJsonRpcMessage::Error(JsonRpcError::new(id, error)));
        session.finish_stream(stream, Some(Arc::new(last)));
    }
}

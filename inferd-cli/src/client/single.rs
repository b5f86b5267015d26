//! Requests that one frame answers: it leaves in one piece, or there is an error.
//!
//! Invariant: a wait that is dropped ends its request at the daemon.

use std::sync::Arc;

use inferd_proto::{
    CallRequest, Called, DaemonFrame, EmbedRequest, Embeddings, Response, Servers, ServersRequest, Tools,
    ToolsRequest,
};
use serde::Serialize;

use super::asker::{Wait, not_asked_for};
use super::connection::Connection;
use super::{Broken, Client, ClientError, line};

/// A request under the type that tells it from others.
#[derive(Serialize)]
struct Typed<'a, R> {
    r#type: &'static str,
    #[serde(flatten)]
    request: &'a R,
}

impl Client {
    /// Sends the texts of `request` and waits for their vectors. A request without an id is given one.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with what the daemon says; else as for [`Client::generate`], and
    /// [`ClientError::Broken`] where the connection ended first.
    pub async fn embed(&self, mut request: EmbedRequest) -> Result<Embeddings, ClientError> {
        self.name(&mut request.id);
        match self.ask("embed", &request.id, &request, |_| {}).await? {
            DaemonFrame::Embeddings(embeddings) => Ok(embeddings),
            _ => Err(not_asked_for()),
        }
    }

    /// Asks which servers the daemon knows.
    ///
    /// # Errors
    /// As for [`Client::embed`]; [`ClientError::Refused`] also by a daemon that has none.
    pub async fn servers(&self) -> Result<Servers, ClientError> {
        let mut request = ServersRequest::default();
        self.name(&mut request.id);
        match self.ask("servers", &request.id, &request, |_| {}).await? {
            DaemonFrame::Servers(servers) => Ok(servers),
            _ => Err(not_asked_for()),
        }
    }

    /// Asks which tools there are, on all servers or on `server`.
    ///
    /// # Errors
    /// As for [`Client::servers`].
    pub async fn tools(&self, server: Option<&str>) -> Result<Tools, ClientError> {
        let mut request = ToolsRequest { id: String::new(), server: server.map(str::to_owned) };
        self.name(&mut request.id);
        match self.ask("tools", &request.id, &request, |_| {}).await? {
            DaemonFrame::Tools(tools) => Ok(tools),
            _ => Err(not_asked_for()),
        }
    }

    /// Calls a tool and waits for its result. A request without an id is given one. `news` is shown the `status` frames,
    /// which come where the request asks for `progress`; when they come faster than they are shown, some are left out.
    ///
    /// # Errors
    /// As for [`Client::servers`]. A tool that ran and failed is no error: [`Called::is_error`].
    pub async fn call(
        &self,
        mut request: CallRequest,
        news: impl FnMut(&Response),
    ) -> Result<Called, ClientError> {
        self.name(&mut request.id);
        match self.ask("call", &request.id, &request, news).await? {
            DaemonFrame::Called(called) => Ok(called),
            _ => Err(not_asked_for()),
        }
    }

    /// Sends a request and waits for the frame that answers it.
    async fn ask<R: Serialize>(
        &self,
        r#type: &'static str,
        id: &str,
        request: &R,
        mut news: impl FnMut(&Response),
    ) -> Result<DaemonFrame, ClientError> {
        let line = &line(&Typed { r#type, request })?;
        let give = |connection: Arc<Connection>| async move { connection.open.single(id, line).await };
        let (wait, connection) = self.give(give).await?;
        let Wait { mut told, news: mut shown } = wait;
        let _left = Left { id, connection: &connection };
        loop {
            tokio::select! {
                biased;
                Some(status) = shown.recv() => news(&status),
                answered = &mut told => {
                    return answered.unwrap_or(Err(ClientError::Broken(Broken::Closed)));
                }
            }
        }
    }
}

/// Ends a request that is still open when nobody waits for it any more.
struct Left<'a> {
    id: &'a str,
    connection: &'a Connection,
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.connection.open.cancel(self.id);
    }
}

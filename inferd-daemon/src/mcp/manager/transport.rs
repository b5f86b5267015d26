//! What rmcp serves a session on: the client's messages leave through it, the server's go to the session's streams.

use std::convert::Infallible;
use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::sync::mpsc;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::route::Routes;

/// One session's transport. It ends with its session.
#[derive(Debug)]
pub(crate) struct SessionTransport {
    pub(super) inbox: mpsc::Receiver<ClientJsonRpcMessage>,
    pub(super) routes: Arc<Routes>,
    /// As long as a session is served the daemon has a task more.
    pub(super) _task: TaskTrackerToken,
}

impl Transport<RoleServer> for SessionTransport {
    type Error = Infallible;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Infallible>> + Send + 'static {
        self.routes.say(message);
        std::future::ready(Ok(()))
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        let ended = self.routes.session().ended().clone();
        ended.run_until_cancelled(self.inbox.recv()).await.flatten()
    }

    async fn close(&mut self) -> Result<(), Infallible> {
        self.inbox.close();
        Ok(())
    }
}

//! Who ends a running daemon, and until then is the one that changes it.
//!
//! Invariants:
//! - One reload at a time, none once the daemon drains.
//! - What has to be ended is ended in order: listeners, connections, agent sessions, upstream servers, backends, the admin socket, the state, the lock.

use inferd_proto::AdminStatus;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::live::{Live, stop_backend};
use super::reloader::{Ask, ReloadError};
use crate::admin::Admin;
use crate::lock::Lock;
use crate::service::Stop;
use crate::service_manager::{self, Word};

/// What has to be ended, and in which order.
pub(super) struct Supervisor {
    pub(super) lock: Lock,
    pub(super) admin: Admin,
    pub(super) admin_stop: CancellationToken,
    pub(super) stop: Stop,
    pub(super) listeners: TaskTracker,
    pub(super) connections: TaskTracker,
    pub(super) tasks: TaskTracker,
    pub(super) live: Live,
    /// Who wants a reload.
    pub(super) asked: mpsc::Receiver<Ask>,
}

impl Supervisor {
    /// Lives as long as the daemon.
    pub(super) async fn run(mut self) {
        self.reload_until_drained().await;
        self.refuse_reloads();
        self.end().await;
    }

    async fn reload_until_drained(&mut self) {
        let drain = self.admin.drain.clone();
        while let Some(Some(ask)) = drain.run_until_cancelled(self.asked.recv()).await {
            service_manager::tell(Word::Reloading);
            // Whatever of a reload takes time changes nothing yet, and can be left.
            let reloaded = drain.run_until_cancelled(self.live.reload()).await;
            service_manager::tell(Word::Ready);
            // Who has asked may have left.
            ask.send(reloaded.unwrap_or(Err(ReloadError::Draining))).ok();
        }
        drain.cancelled().await;
    }

    fn refuse_reloads(&mut self) {
        self.asked.close();
        while let Ok(ask) = self.asked.try_recv() {
            ask.send(Err(ReloadError::Draining)).ok();
        }
    }

    async fn end(self) {
        let timeout = self.live.config().drain_timeout;
        tracing::info!(timeout_s = timeout.as_secs_f64(), "draining");
        service_manager::tell(Word::Stopping);
        self.stop.drain();
        self.listeners.close();
        self.listeners.wait().await;
        // Said when it is so: nobody who has heard it still connects or has a request taken.
        self.admin.hub.publish(AdminStatus::Draining);
        self.connections.close();
        if tokio::time::timeout(timeout, self.connections.wait()).await.is_err() {
            tracing::warn!("requests were still open after the drain timeout: ending them");
            self.stop.end();
            self.connections.wait().await;
        }
        self.live.service().agents.dispose().await;
        self.live.upstreams().stop().await;
        for backend in self.live.backends() {
            stop_backend(&**backend).await;
        }
        self.admin_stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        if let Some(state) = self.live.state() {
            state.close().await;
        }
        // Last: whoever gets the lock next finds the sockets gone.
        drop(self.lock);
    }
}

//! Changes of the lists, told to whom asked to hear of them.

use rmcp::service::SubscriptionContext;
use tokio::sync::broadcast;

/// Which list changed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    Tools,
    Prompts,
}

/// Changes a listener may be behind by.
const BEHIND_MAX: usize = 16;

/// Where changes are published.
#[derive(Debug)]
pub(super) struct Changes(broadcast::Sender<Change>);

impl Default for Changes {
    fn default() -> Self {
        Self(broadcast::Sender::new(BEHIND_MAX))
    }
}

impl Changes {
    /// Tells everybody who listens. Nobody need listen.
    pub(super) fn publish(&self, change: Change) {
        drop(self.0.send(change));
    }

    /// Tells one subscriber until it leaves. What it did not ask for is not sent.
    pub(super) async fn tell(&self, subscription: &SubscriptionContext) {
        let mut changes = self.0.subscribe();
        loop {
            let change = tokio::select! {
                () = subscription.cancelled() => return,
                change = changes.recv() => change,
            };
            let wanted = subscription.accepted();
            let told = match change {
                Ok(Change::Tools) if wanted.tools_list_changed == Some(true) => {
                    subscription.sink().notify_tool_list_changed().await
                }
                Ok(Change::Prompts) if wanted.prompts_list_changed == Some(true) => {
                    subscription.sink().notify_prompt_list_changed().await
                }
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => continue,
                Err(broadcast::error::RecvError::Closed) => return,
            };
            if told.is_err() {
                return;
            }
        }
    }
}

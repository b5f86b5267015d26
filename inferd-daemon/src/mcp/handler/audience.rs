//! Who is told that a list has changed.
//!
//! Invariants:
//! - A session is told of each change of a list once, and of none that it has read already for sure.
//! - A session that has ended is told nothing, and leaves nothing behind.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{StreamExt, stream};
use rmcp::Peer;
use rmcp::service::{RoleServer, ServiceError, SubscriptionContext, SubscriptionSendError};

use crate::mcp::menu::Offers;

/// Sessions that are being told at once.
const AT_ONCE: usize = 64;

/// Which editions of the lists somebody knows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    tools: u64,
    resources: u64,
    prompts: u64,
}

/// A list that reads otherwise than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Changed {
    Tools,
    Resources,
    Prompts,
}

impl From<&Offers> for Known {
    fn from(offers: &Offers) -> Self {
        Self {
            tools: offers.tools.edition(),
            // Both only grow, and templates are told of as resources are.
            resources: offers.resources.edition() + offers.templates.edition(),
            prompts: offers.prompts.edition(),
        }
    }
}

impl Known {
    /// That of a client that may have read its lists from a daemon that was here before.
    pub(super) const NOTHING: Self = Self { tools: u64::MAX, resources: u64::MAX, prompts: u64::MAX };

    /// Takes note of `now`; what of it is new.
    fn catch_up(&mut self, now: Self) -> impl Iterator<Item = Changed> + use<> {
        let before = std::mem::replace(self, now);
        let news = [
            (before.tools != now.tools, Changed::Tools),
            (before.resources != now.resources, Changed::Resources),
            (before.prompts != now.prompts, Changed::Prompts),
        ];
        news.into_iter().filter(|(is_new, _)| *is_new).map(|(_, changed)| changed)
    }
}

/// A session that is there to be told.
#[derive(Debug)]
struct Listener {
    peer: Peer<RoleServer>,
    known: Mutex<Known>,
}

impl Listener {
    async fn catch_up(&self, now: Known) {
        let news = self.known.lock().unwrap_or_else(PoisonError::into_inner).catch_up(now);
        for changed in news {
            if let Err(error) = tell(&self.peer, changed).await {
                tracing::debug!(%error, "a session ended before it was told of a change");
            }
        }
    }
}

async fn tell(peer: &Peer<RoleServer>, changed: Changed) -> Result<(), ServiceError> {
    match changed {
        Changed::Tools => peer.notify_tool_list_changed().await,
        Changed::Resources => peer.notify_resource_list_changed().await,
        Changed::Prompts => peer.notify_prompt_list_changed().await,
    }
}

/// Every session that is there to be told.
#[derive(Debug, Default)]
pub(super) struct Audience {
    seats: Mutex<Seats>,
}

#[derive(Debug, Default)]
struct Seats {
    next: u64,
    taken: HashMap<u64, Arc<Listener>>,
}

impl Audience {
    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everybody what they do not know yet.
    pub(super) async fn catch_up(&self, now: Known) {
        let all: Vec<_> = self.seats().taken.values().map(Arc::clone).collect();
        stream::iter(all)
            .for_each_concurrent(AT_ONCE, |listener| async move { listener.catch_up(now).await })
            .await;
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.seats().taken.len()
    }
}

/// A session's place in the audience, which it leaves when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    audience: Arc<Audience>,
    number: u64,
    listener: Arc<Listener>,
}

impl Seat {
    /// Takes one for a session that knows of `known`.
    pub(super) fn take(audience: Arc<Audience>, peer: Peer<RoleServer>, known: Known) -> Self {
        let listener = Arc::new(Listener { peer, known: Mutex::new(known) });
        let number = {
            let mut seats = audience.seats();
            seats.next += 1;
            let number = seats.next;
            seats.taken.insert(number, Arc::clone(&listener));
            number
        };
        Self { audience, number, listener }
    }

    /// Tells the session what it does not know yet.
    pub(super) async fn catch_up(&self, now: Known) {
        self.listener.catch_up(now).await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.audience.seats().taken.remove(&self.number);
    }
}

/// Tells a subscriber of 2026-07-28 what is new since `known`, as far as it asked for it. An error means that it left.
pub(super) async fn tell_subscriber(
    subscription: &SubscriptionContext,
    known: &mut Known,
    now: Known,
) -> Result<(), SubscriptionSendError> {
    let wanted = subscription.accepted();
    let sink = subscription.sink();
    for changed in known.catch_up(now) {
        match changed {
            Changed::Tools if wanted.tools_list_changed == Some(true) => {
                sink.notify_tool_list_changed().await?;
            }
            Changed::Resources if wanted.resources_list_changed == Some(true) => {
                sink.notify_resource_list_changed().await?;
            }
            Changed::Prompts if wanted.prompts_list_changed == Some(true) => {
                sink.notify_prompt_list_changed().await?;
            }
            Changed::Tools | Changed::Resources | Changed::Prompts => {}
        }
    }
    Ok(())
}

//! Servers that speak the Model Context Protocol: a configured server enters, a session leaves.
//!
//! rmcp knows the handshake, the ids and how to cancel; what is read off the wire is ours, so that it is bounded and one
//! odd entry of a list does not spoil the list.
//!
//! Invariants:
//! - No message is longer than [`MESSAGE_BYTES_MAX`]; one that is costs its own call and nothing else.
//! - A server is shown the credential configured for it and none of any client.
//! - What a server asks of its client (to generate, to ask the user) is refused.

mod child;
mod ear;
mod flood;
mod http;
mod lines;
mod rpc;

use std::sync::Arc;

use super::Wanted;
use super::patience::Patience;
use super::session::Session;
use crate::config::Reach;
use child::Child;
use ear::Ear;
use http::Http;
use lines::Lines;
use rpc::Rpc;

/// The longest message of a server, in bytes.
pub(super) const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Connects to one server, any number of times.
pub(super) struct Connector {
    wanted: Wanted,
    patience: Patience,
}

impl Connector {
    pub(super) fn new(wanted: Wanted, patience: Patience) -> Self {
        Self { wanted, patience }
    }

    /// A session, or why there is none. Dropped before its end, it leaves nothing behind.
    pub(super) async fn connect(&self) -> Result<Arc<dyn Session>, String> {
        let ear = Arc::new(Ear::new(&self.wanted.config.id));
        match &self.wanted.config.reach {
            Reach::Command { command, env } => {
                let (child, output, input) =
                    Child::start(command, env, Arc::clone(&ear), self.patience.end)?;
                let transport = Lines::new(output, input, Arc::clone(&ear));
                match Rpc::begin(transport, ear, Some(child)).await {
                    Ok(session) => Ok(Arc::new(session)),
                    Err(reason) => Err(reason),
                }
            }
            Reach::Url { url, .. } => {
                let http = Http::new(url, self.wanted.key.as_ref(), self.patience.connect, Arc::clone(&ear))?;
                Ok(Arc::new(Rpc::begin(http, ear, None).await?))
            }
            // The seam for servers that speak the daemon's own protocol: they need a `Session` of their own.
            Reach::Inferd { .. } => Err("this version does not connect to servers of kind inferd".to_owned()),
        }
    }
}

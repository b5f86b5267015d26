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

use async_trait::async_trait;

use super::Wanted;
use super::patience::Patience;
use super::session::{Connect, Session};
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
}

#[async_trait]
impl Connect for Connector {
    async fn connect(&self) -> Result<Arc<dyn Session>, String> {
        let ear = Arc::new(Ear::new(&self.wanted.config.id));
        match &self.wanted.config.reach {
            Reach::Command { command, env } => {
                let (child, output, input) = Child::start(command, env, Arc::clone(&ear), self.patience.end)?;
                let transport = Lines::new(output, input, Arc::clone(&ear));
                Ok(Arc::new(Rpc::begin(transport, ear, Some(child)).await?))
            }
            Reach::Url { url, .. } => {
                let http = Http::new(url, self.wanted.key.as_ref(), self.patience.connect, Arc::clone(&ear))?;
                Ok(Arc::new(Rpc::begin(http, ear, None).await?))
            }
            Reach::Inferd { .. } => Err("it is no server of this protocol".to_owned()),
        }
    }
}

/// A session with whoever is at the other end of `pipe`, which is no program.
#[cfg(test)]
pub(super) async fn over_pipe(
    server: &str,
    pipe: tokio::io::DuplexStream,
) -> Result<Arc<dyn Session>, String> {
    let ear = Arc::new(Ear::new(server));
    let (from, to) = tokio::io::split(pipe);
    Ok(Arc::new(Rpc::begin(Lines::new(from, to, Arc::clone(&ear)), ear, None).await?))
}

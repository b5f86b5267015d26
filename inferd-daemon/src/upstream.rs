//! Upstream servers: the tools, resources and prompts of many servers under one roof.
//!
//! Configurations of servers enter; a [`Catalogue`] of what they offer leaves, and calls are passed on to whoever owns
//! what is called. Who may call what, and over which door, is not known here.
//!
//! ```text
//! supervise  one task a server: connect, list, wait for its end, wait a little, again, for ever
//! session    what a connected server can be asked: mcp/, or inferd/ for another daemon
//! catalogue  what all of them offer, sorted, under names that are looked up and never split
//! ```
//!
//! Invariants:
//! - Nothing waits for a server but who calls it: one that is slow or dead costs the others nothing.
//! - A server that is lost keeps its last list, marked stale; a call to it fails at once with the reason.
//! - A call is passed on once. Nothing here repeats it.
//! - Every page, list, result, line and number of open calls has a limit.

mod backoff;
mod call;
mod catalogue;
mod inferd;
mod listing;
mod mcp;
mod name;
mod patience;
mod session;
mod slot;
mod supervise;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use call::{CallError, CallResult};
pub use catalogue::{Catalogue, Condition, Offer, Server, State, Version};
pub(crate) use name::resource as resource_uri;
pub use patience::Patience;
pub use session::Progress;

use crate::config::ServerConfig;
use session::{Ask, Connect};
use slot::Slot;
use supervise::Supervisor;

/// A server that is wanted, with what it is shown.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Where it is.
    pub config: ServerConfig,
    /// The token or key shown to it.
    pub key: Option<SecretString>,
}

/// The upstream servers of a daemon. Clones are of the same ones.
#[derive(Clone)]
pub struct Upstreams(Arc<Inner>);

/// How servers are connected to.
type Connectors = Box<dyn Fn(Wanted, Patience) -> Box<dyn Connect> + Send + Sync>;

struct Inner {
    connectors: Connectors,
    servers: Mutex<BTreeMap<String, Supervised>>,
    catalogue: watch::Sender<Arc<Catalogue>>,
    patience: Patience,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

/// A server, and the word that ends it.
#[derive(Debug)]
struct Supervised {
    wanted: Wanted,
    slot: Arc<Slot>,
    stop: CancellationToken,
}

impl Upstreams {
    /// None yet; see [`Upstreams::want`]. They end when `stopping` is cancelled.
    #[must_use]
    pub fn new(patience: Patience, stopping: &CancellationToken) -> Self {
        let connector = |wanted, patience| match inferd::Connector::new(&wanted) {
            Some(daemon) => Box::new(daemon) as Box<dyn Connect>,
            None => Box::new(mcp::Connector::new(wanted, patience)),
        };
        Self::connected_by(Box::new(connector), patience, stopping)
    }

    fn connected_by(connectors: Connectors, patience: Patience, stopping: &CancellationToken) -> Self {
        Self(Arc::new(Inner {
            connectors,
            servers: Mutex::default(),
            catalogue: watch::Sender::new(Arc::default()),
            patience,
            tasks: TaskTracker::new(),
            stopping: stopping.child_token(),
        }))
    }

    /// Makes these the servers there are, and returns at once: new ones are connected to beside each other, those that are
    /// not among them are ended, and those that are as they were stay as they are. Does nothing once they are stopped.
    pub fn want(&self, wanted: impl IntoIterator<Item = Wanted>) {
        let mut new: BTreeMap<String, Wanted> =
            wanted.into_iter().map(|wanted| (wanted.config.id.clone(), wanted)).collect();
        {
            let mut servers = self.lock();
            if self.0.stopping.is_cancelled() {
                return;
            }
            servers.retain(|id, server| {
                let stays = new.get(id).is_some_and(|wanted| *wanted == server.wanted);
                if stays {
                    new.remove(id);
                } else {
                    server.stop.cancel();
                }
                stays
            });
            for (id, wanted) in new {
                let (slot, stop) = (Arc::new(Slot::new(&wanted.config)), self.0.stopping.child_token());
                let connector = (self.0.connectors)(wanted.clone(), self.0.patience);
                let supervisor = Supervisor::new(connector, Arc::clone(&slot), self.clone());
                self.0.tasks.spawn(supervisor.run(stop.clone()));
                servers.insert(id, Supervised { wanted, slot, stop });
            }
        }
        self.publish();
    }

    /// What all servers offer, and how they are.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.0.catalogue.borrow())
    }

    /// Changes when what is offered or the state of a server does; [`Catalogue::version`] tells what.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Arc<Catalogue>> {
        self.0.catalogue.subscribe()
    }

    /// Calls the tool `name`, in either spelling. What is said of its progress goes to `on_progress`. Dropped before its
    /// end, it is cancelled upstream.
    ///
    /// # Errors
    /// [`CallError`], which names the server. The call is never repeated.
    pub async fn call(
        &self,
        name: &str,
        arguments: Option<Map<String, Value>>,
        on_progress: impl FnMut(Progress) + Send,
    ) -> Result<CallResult, CallError> {
        let (slot, own_name) = self.owner_of_tool(name)?;
        let result = self.ask(&slot, Ask::Tool { name: own_name, arguments }, on_progress).await?;
        CallResult::read(&slot.id, result)
    }

    /// Reads the resource `uri`, as the catalogue names it or as one of its templates makes it; the result as the
    /// protocol has it, its own URIs as the catalogue names them.
    ///
    /// # Errors
    /// [`CallError`], which names the server.
    pub async fn read_resource(&self, uri: &str) -> Result<Value, CallError> {
        let unknown = || CallError::Unknown { what: "resource", name: uri.to_owned() };
        let (server, own) = name::parse_resource(uri).ok_or_else(unknown)?;
        let slot = self.slot(server).ok_or_else(unknown)?;
        let mut result = self.ask(&slot, Ask::Resource { uri: own.to_owned() }, |_| {}).await?;
        for content in result.get_mut("contents").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(own) = content["uri"].as_str() {
                content["uri"] = json!(name::resource(server, own));
            }
        }
        Ok(result)
    }

    /// Gets the prompt `name`, in either spelling; the result as the protocol has it.
    ///
    /// # Errors
    /// [`CallError`], which names the server.
    pub async fn get_prompt(
        &self,
        name: &str,
        arguments: Option<Map<String, Value>>,
    ) -> Result<Value, CallError> {
        let catalogue = self.catalogue();
        let unknown = || CallError::Unknown { what: "prompt", name: name.to_owned() };
        let prompt = catalogue.prompt(name).ok_or_else(unknown)?;
        let slot = self.slot(&prompt.server).ok_or_else(unknown)?;
        self.ask(&slot, Ask::Prompt { name: prompt.own_name.clone(), arguments }, |_| {}).await
    }

    /// Ends every connection and program, and waits until nothing of them is left.
    pub async fn stop(&self) {
        self.0.stopping.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    fn owner_of_tool(&self, name: &str) -> Result<(Arc<Slot>, String), CallError> {
        let catalogue = self.catalogue();
        let unknown = || CallError::Unknown { what: "tool", name: name.to_owned() };
        let tool = catalogue.tool(name).ok_or_else(unknown)?;
        let slot = self.slot(&tool.server).ok_or_else(unknown)?;
        Ok((slot, tool.own_name.clone()))
    }

    fn slot(&self, id: &str) -> Option<Arc<Slot>> {
        self.lock().get(id).map(|server| Arc::clone(&server.slot))
    }

    async fn ask(
        &self,
        slot: &Slot,
        ask: Ask,
        on_progress: impl FnMut(Progress) + Send,
    ) -> Result<Value, CallError> {
        call::ask(slot, ask, &self.0.patience, on_progress).await
    }

    /// Puts together what every server offers now, and tells whoever listens if that is news.
    fn publish(&self) {
        let servers = self.lock();
        let listed: HashMap<&str, slot::Standing> =
            servers.iter().map(|(id, server)| (id.as_str(), server.slot.standing())).collect();
        // The lock on the servers is held, so nobody else puts one in its place meanwhile.
        let (next, is_news) = self.catalogue().followed_by(&listed);
        self.0.catalogue.send_if_modified(|catalogue| {
            *catalogue = Arc::new(next);
            is_news
        });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Supervised>> {
        // No code that can panic runs under this lock.
        self.0.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstreams").field("servers", &self.lock().keys()).finish_non_exhaustive()
    }
}

impl PartialEq for Wanted {
    fn eq(&self, other: &Self) -> bool {
        let [key, others] = [self, other].map(|wanted| wanted.key.as_ref().map(ExposeSecret::expose_secret));
        self.config == other.config && key == others
    }
}

#[cfg(test)]
pub(crate) mod scripted;
#[cfg(test)]
mod tests;

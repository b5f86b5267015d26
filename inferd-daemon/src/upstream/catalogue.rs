//! What all servers offer, under names that tell whose it is. A value: the standing of every server enters, sorted lists
//! and a look-up leave.
//!
//! Invariants:
//! - Lists are sorted by canonical name, and do not depend on the order in which servers answered.
//! - A name in either spelling means one thing or nothing.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::listing::{Entry, key_of};
use super::name;
use super::session::List;
use super::slot::Standing;

/// What all upstream servers offer, and how they are.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// By id.
    pub servers: Vec<Server>,
    /// By name.
    pub tools: Vec<Offer>,
    /// By URI.
    pub resources: Vec<Offer>,
    /// By URI.
    pub templates: Vec<Offer>,
    /// By name.
    pub prompts: Vec<Offer>,
    /// Counts changes.
    pub version: Version,
    tools_by_name: HashMap<String, usize>,
    prompts_by_name: HashMap<String, usize>,
}

/// Something that a server offers.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// `server::tool`; of a resource or template the URI under which it is read here.
    pub name: String,
    /// The name for MCP clients and models: matches `[A-Za-z0-9_-]{1,64}`. Of a resource the same as `name`.
    pub spelling: String,
    /// Whose it is.
    pub server: String,
    /// What it is called there.
    pub own_name: String,
    /// As its server describes it, in the words of the protocol and under its own name.
    pub definition: Entry,
    /// Whether its server is not connected: this is what it offered when it last was.
    pub stale: bool,
}

/// How a server is.
#[derive(Debug, Clone, Serialize)]
pub struct Server {
    /// Its id.
    pub id: String,
    /// `stdio`, `http` or `inferd`.
    pub kind: &'static str,
    /// What may change without anybody asking.
    #[serde(flatten)]
    pub condition: Condition,
    /// Since when it is in its state; as JSON, for how many seconds.
    #[serde(rename = "since_s", serialize_with = "seconds_since")]
    pub since: Instant,
    /// How long it last took to answer a short question; as JSON, in milliseconds.
    #[serde(rename = "latency_ms", serialize_with = "milliseconds", skip_serializing_if = "Option::is_none")]
    pub latency: Option<Duration>,
}

/// What can be said of a server.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Condition {
    /// Where it stands.
    pub state: State,
    /// Tools it offers, or did when it was last connected.
    pub tools: usize,
    /// Why it was lost or could not be reached the last time, however long ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// What of it is not offered, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// Where a server stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is being connected to.
    Connecting,
    /// It can be called.
    Live,
    /// It was lost or not reached, and is tried again soon.
    Down,
}

/// Counts changes of what is offered; each only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Version {
    /// Of the list of tools. That one becomes stale is no change of it.
    pub tools: u64,
    /// Of the lists of resources and templates.
    pub resources: u64,
    /// Of the list of prompts.
    pub prompts: u64,
    /// Of the servers and how they are; how fast they are aside.
    pub servers: u64,
}

impl Catalogue {
    /// The tool of this name, in either spelling.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&Offer> {
        self.tools_by_name.get(name).and_then(|&at| self.tools.get(at))
    }

    /// The prompt of this name, in either spelling.
    #[must_use]
    pub fn prompt(&self, name: &str) -> Option<&Offer> {
        self.prompts_by_name.get(name).and_then(|&at| self.prompts.get(at))
    }

    /// The server of this id.
    #[must_use]
    pub fn server(&self, id: &str) -> Option<&Server> {
        self.servers.iter().find(|server| server.id == id)
    }

    /// A line for each server whose tools are stale or missing.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let away = self.servers.iter().filter(|server| server.condition.state != State::Live);
        away.map(Server::warning).collect()
    }

    /// What comes after this one where the servers stand as `standings` says, and whether that is news.
    pub(super) fn followed_by(&self, standings: &HashMap<&str, Standing>) -> (Self, bool) {
        let sorted: BTreeMap<_, _> = standings.iter().collect();
        let offers = |list| {
            let mut offers: Vec<Offer> =
                sorted.values().flat_map(|standing| offers_of(standing, list)).collect();
            offers.sort_by(|a, b| a.name.cmp(&b.name));
            offers
        };
        let (tools, prompts) = (offers(List::Tools), offers(List::Prompts));
        let mut next = Self {
            servers: sorted.values().map(|standing| standing.server.clone()).collect(),
            tools_by_name: by_name(&tools),
            tools,
            resources: offers(List::Resources),
            templates: offers(List::Templates),
            prompts_by_name: by_name(&prompts),
            prompts,
            version: self.version,
        };
        next.version.tools += u64::from(!same(&self.tools, &next.tools));
        next.version.resources +=
            u64::from(!same(&self.resources, &next.resources) || !same(&self.templates, &next.templates));
        next.version.prompts += u64::from(!same(&self.prompts, &next.prompts));
        let seen = |servers: &[Server]| -> Vec<_> {
            servers.iter().map(|server| (server.id.clone(), server.condition.clone())).collect()
        };
        next.version.servers += u64::from(seen(&self.servers) != seen(&next.servers));
        let is_news = next.version != self.version;
        (next, is_news)
    }
}

impl Server {
    /// What is said of a server that is not there.
    fn warning(&self) -> String {
        let reason = self.condition.last_error.as_deref().unwrap_or("it has not answered yet");
        let tools = match self.condition.tools {
            0 => "it is left out".to_owned(),
            tools => format!("its {tools} tools are as they last were"),
        };
        format!("server `{}` is not connected, {tools}: {reason}", self.id)
    }
}

impl Offer {
    /// What it does, in its server's words.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.definition.get("description")?.as_str()
    }

    /// The JSON Schema of a tool's arguments, which is always that of an object.
    #[must_use]
    pub fn input_schema(&self) -> Option<&Map<String, Value>> {
        self.definition.get("inputSchema")?.as_object()
    }
}

fn offers_of(standing: &Standing, list: List) -> impl Iterator<Item = Offer> {
    let (server, listing) = (&standing.server.id, &standing.listing);
    let entries = match list {
        List::Tools => &listing.tools,
        List::Resources => &listing.resources,
        List::Templates => &listing.templates,
        List::Prompts => &listing.prompts,
    };
    let stale = standing.server.condition.state != State::Live;
    entries.iter().filter_map(move |entry| {
        let own_name = key_of(list, entry)?.to_owned();
        let (name, spelling) = match list {
            List::Tools | List::Prompts => {
                (name::canonical(server, &own_name), name::spelling(server, &own_name))
            }
            List::Resources | List::Templates => {
                let uri = name::resource(server, &own_name);
                (uri.clone(), uri)
            }
        };
        Some(Offer { name, spelling, server: server.clone(), own_name, definition: entry.clone(), stale })
    })
}

/// Where in a list each name is, in both spellings. A canonical name comes before a spelling that is the same.
fn by_name(offers: &[Offer]) -> HashMap<String, usize> {
    let mut places = HashMap::with_capacity(offers.len() * 2);
    for spelt in [|offer: &Offer| offer.name.clone(), |offer: &Offer| offer.spelling.clone()] {
        for (at, offer) in offers.iter().enumerate() {
            places.entry(spelt(offer)).or_insert(at);
        }
    }
    places
}

/// Whether two lists offer the same, stale or not.
fn same(a: &[Offer], b: &[Offer]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.name == b.name && a.definition == b.definition)
}

fn seconds_since<S: Serializer>(since: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(since.elapsed().as_secs())
}

#[expect(clippy::ref_option, reason = "serde passes the field")]
fn milliseconds<S: Serializer>(latency: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    let tenths = latency.map(|latency| (latency.as_secs_f64() * 10_000.0).round() / 10.0);
    tenths.serialize(serializer)
}

#[cfg(test)]
mod tests;

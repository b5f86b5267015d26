//! What MCP clients are offered: tools to call, resources to read, prompts to get. What is offered enters with whatever
//! runs it; lists of it leave, and word of every change of them.
//!
//! The daemon's own are always there. Whoever has more (upstream servers, rooms) holds a clone of the [`Menu`] and
//! [supplies](Menu::supply) all it has, each time that changes, in the order it is to be listed:
//!
//! ```text
//! let read = Offered::new(tool, move |call: Call| { … }).also_called("prod::read");
//! menu.supply(Supplied { tools: vec![read, …], resources: …, prompts: …, ..Supplied::default() });
//! ```
//!
//! That is all: every open session and subscription is told once for each list that reads otherwise than before, and
//! who lists or calls next gets the new one. A call that runs keeps the tool it was made to.
//!
//! Invariants:
//! - A name is looked up, never taken apart: a tool has the one that clients list and any number of others.
//! - A name is given once: the daemon's own come first, and what comes later under the same name is left out.
//! - A list that reads as before is not announced, even where what runs its tools is new.

mod offered;
mod table;

use std::sync::Arc;

use rmcp::model::{Prompt, Resource, ResourceTemplate, Tool};
use tokio::sync::watch;

pub(crate) use offered::{Call, Described, Offered};
pub(crate) use table::Table;

/// Everything that is offered now. Copies share it.
#[derive(Debug, Clone)]
pub(crate) struct Offers {
    pub(crate) tools: Arc<Table<Tool>>,
    pub(crate) resources: Arc<Table<Resource>>,
    pub(crate) templates: Arc<Table<ResourceTemplate>>,
    pub(crate) other_resources: Option<Offered<ResourceTemplate>>,
    pub(crate) prompts: Arc<Table<Prompt>>,
}

/// What is offered by one party.
#[derive(Debug, Default)]
pub(crate) struct Supplied {
    pub(crate) tools: Vec<Offered<Tool>>,
    pub(crate) resources: Vec<Offered<Resource>>,
    pub(crate) templates: Vec<Offered<ResourceTemplate>>,
    /// Reads what is on no list: what a template makes, or a result points at. It is listed nowhere itself.
    pub(crate) other_resources: Option<Offered<ResourceTemplate>>,
    pub(crate) prompts: Vec<Offered<Prompt>>,
}

/// What is offered, and who is to know. Copies are handles on the same one.
#[derive(Debug, Clone)]
pub(crate) struct Menu {
    own: Arc<Supplied>,
    offers: watch::Sender<Offers>,
}

impl Menu {
    /// One of `own` alone.
    pub(crate) fn new(own: Supplied) -> Self {
        let offers = Offers {
            tools: Arc::new(Table::of(own.tools.iter().cloned())),
            resources: Arc::new(Table::of(own.resources.iter().cloned())),
            templates: Arc::new(Table::of(own.templates.iter().cloned())),
            other_resources: own.other_resources.clone(),
            prompts: Arc::new(Table::of(own.prompts.iter().cloned())),
        };
        Self { own: Arc::new(own), offers: watch::Sender::new(offers) }
    }

    /// What is offered now.
    pub(crate) fn now(&self) -> Offers {
        self.offers.borrow().clone()
    }

    /// Wakes when a list reads otherwise than before.
    pub(crate) fn changes(&self) -> watch::Receiver<Offers> {
        self.offers.subscribe()
    }

    #[cfg(test)]
    pub(crate) fn listeners(&self) -> usize {
        self.offers.receiver_count()
    }

    /// Offers `supplied` beside the daemon's own, in place of what was supplied before.
    pub(crate) fn supply(&self, supplied: Supplied) {
        let Supplied { tools, resources, templates, other_resources, prompts } = supplied;
        self.offers.send_if_modified(|offers| {
            offers.other_resources = other_resources.or_else(|| self.own.other_resources.clone());
            let changed = [
                replace(&mut offers.tools, &self.own.tools, tools),
                replace(&mut offers.resources, &self.own.resources, resources),
                replace(&mut offers.templates, &self.own.templates, templates),
                replace(&mut offers.prompts, &self.own.prompts, prompts),
            ];
            changed.contains(&true)
        });
    }
}

/// Whether the list reads otherwise than before.
fn replace<D: Described>(table: &mut Arc<Table<D>>, own: &[Offered<D>], supplied: Vec<Offered<D>>) -> bool {
    let next = Table::of(own.iter().cloned().chain(supplied)).after(table);
    let changed = next.edition() != table.edition();
    *table = Arc::new(next);
    changed
}

#[cfg(test)]
mod tests;

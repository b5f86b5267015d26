//! What a reload changes: what was wanted and what is wanted enter, the difference leaves. Nothing is changed here.

use std::collections::BTreeSet;

use inferd_proto::Reloaded;

use super::wanted::Wanted;

/// What takes a restart: what clients are connected through, and what is being written to, cannot be swapped under them.
const NEEDS_RESTART: [&str; 7] = [
    "[listen] local",
    "[listen] group",
    "[listen] tcp",
    "[mcp] listen",
    "[mcp] persist",
    "[state] path",
    "[state] audit_days",
];

/// Where the keys of clients are said to be.
const KEYS: [&str; 2] = ["[listen] api_key_env", "[listen] api_keys_file"];

/// Where the keys of MCP clients are.
const MCP_KEYS: [&str; 2] = ["[mcp] api_key_env", "[mcp] api_keys_file"];

/// The difference between two configurations. Backends are told apart by name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan(Reloaded);

impl Plan {
    pub(super) fn between(old: &Wanted, new: &Wanted) -> Self {
        let mut plan = Reloaded::default();
        for backend in &new.backends {
            let kind = match old.backend(&backend.name) {
                None => &mut plan.added,
                Some(before) if old.recipe(before) != new.recipe(backend) => &mut plan.rebuilt,
                Some(before) if before != backend => &mut plan.adjusted,
                Some(_) => &mut plan.kept,
            };
            kind.push(backend.name.clone());
        }
        let gone = old.backends.iter().filter(|backend| new.backend(&backend.name).is_none());
        plan.removed = gone.map(|backend| backend.name.clone()).collect();
        (plan.needs_restart, plan.settings) = changed_settings(old, new)
            .into_iter()
            .partition(|setting| NEEDS_RESTART.contains(&setting.as_str()));
        Self(plan)
    }

    /// Whether the backend of this name stays as it is built.
    pub(super) fn keeps(&self, name: &str) -> bool {
        self.0.kept.iter().chain(&self.0.adjusted).any(|kept| kept == name)
    }

    pub(super) fn report(self) -> Reloaded {
        self.0
    }
}

/// Settings outside of backends, as `[section] key`.
fn changed_settings(old: &Wanted, new: &Wanted) -> BTreeSet<String> {
    let [before, after] = [old, new].map(|wanted| wanted.config.settings());
    let differs = |name: &&String| before.get(*name) != after.get(*name);
    let mut changed: BTreeSet<String> = before.keys().chain(after.keys()).filter(differs).cloned().collect();
    for (keys, differ) in [
        (KEYS, old.secrets.clients != new.secrets.clients),
        (MCP_KEYS, old.secrets.mcp_clients != new.secrets.mcp_clients),
    ] {
        if differ && !changed.iter().any(|name| keys.contains(&name.as_str())) {
            // The same place holds other keys now.
            changed.extend(keys.iter().filter(|name| after.contains_key(**name)).map(ToString::to_string));
        }
    }
    changed.extend(changed_tables("[[servers]]", old.servers(), new.servers(), |server| &server.config.id));
    let rooms = |wanted: &Wanted| wanted.config.rooms.clone().into_iter();
    changed.extend(changed_tables("[[rooms]]", rooms(old), rooms(new), |room| &room.id));
    changed
}

/// The tables of one list that came, went or changed, as `[[list]] id`.
fn changed_tables<T: PartialEq>(
    heading: &str,
    old: impl Iterator<Item = T>,
    new: impl Iterator<Item = T>,
    id: impl Fn(&T) -> &String,
) -> Vec<String> {
    let (old, new): (Vec<T>, Vec<T>) = (old.collect(), new.collect());
    let alone = |these: &[T], others: &[T]| -> Vec<String> {
        these.iter().filter(|it| !others.contains(it)).map(|it| format!("{heading} {}", id(it))).collect()
    };
    [alone(&old, &new), alone(&new, &old)].concat()
}

#[cfg(test)]
mod tests;

//! What upstream servers and rooms offer, on the menu of MCP clients: catalogues and rooms enter, and each time that they
//! read otherwise the menu is supplied anew.
//!
//! ```text
//! tools      tools/federated.rs, as `server__tool`; `server::tool` is taken too
//! resources  under `inferd+server://…`, listed or not
//! prompts    as tools are named; and each room, under its own name
//! ```
//!
//! Invariants:
//! - Lists are sorted, and hold what a server that is away offered last.
//! - An entry keeps what its server says of it, as far as clients can read it; one that is too long is left out.
//! - A server is asked under the daemon's own credentials: nothing of the client's goes there but what it asks for.

mod content;
mod prompts;
mod resources;

use rmcp::ErrorData;
use rmcp::model::ErrorCode;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::menu::{Call, Described, Menu, Supplied};
use super::size::json_bytes;
use super::tools::{Ended, federated, race};
use crate::config::RoomConfig;
use crate::service::Stop;
use crate::upstream::{CallError, Catalogue, Offer, Upstreams};
pub(super) use content::{block, without_reserved};

/// The longest entry of a list, as JSON in bytes.
const ENTRY_BYTES_MAX: usize = 256 * 1024;

/// The longest result, as JSON in bytes: as much as a client may send, it may get.
pub(super) const RESULT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Keeps a menu supplied.
#[derive(Debug)]
pub(crate) struct Federation {
    pub(crate) upstreams: Upstreams,
    pub(crate) rooms: watch::Receiver<Vec<RoomConfig>>,
    pub(crate) menu: Menu,
}

impl Federation {
    /// Goes on until the daemon drains.
    pub(crate) async fn run(mut self, stop: Stop) {
        let mut changes = self.upstreams.changes();
        let draining = stop.draining();
        tokio::pin!(draining);
        let mut supplied = None;
        loop {
            let catalogue = changes.borrow_and_update().clone();
            let version = catalogue.version;
            let offers = (version.tools, version.resources, version.prompts);
            let rooms = self.rooms.borrow_and_update().clone();
            // How servers are changes more often than what they offer.
            if supplied.as_ref() != Some(&(offers, rooms.clone())) {
                self.menu.supply(supply(&catalogue, &rooms, &self.upstreams));
                supplied = Some((offers, rooms));
            }
            tokio::select! {
                () = &mut draining => return,
                changed = changes.changed() => if changed.is_err() { return },
                changed = self.rooms.changed() => if changed.is_err() { return },
            }
        }
    }
}

fn supply(catalogue: &Catalogue, rooms: &[RoomConfig], upstreams: &Upstreams) -> Supplied {
    let resource = |offer| resources::resource(offer, upstreams);
    let template = |offer| resources::template(offer, upstreams);
    let prompt = |offer| prompts::prompt(offer, upstreams);
    Supplied {
        tools: catalogue.tools.iter().filter_map(|offer| federated::tool(offer, upstreams)).collect(),
        resources: catalogue.resources.iter().filter_map(resource).collect(),
        templates: catalogue.templates.iter().filter_map(template).collect(),
        other_resources: Some(resources::others(upstreams)),
        prompts: prompts::rooms(rooms).chain(catalogue.prompts.iter().filter_map(prompt)).collect(),
    }
}

/// What clients are told of something that a server offers, under the name that it has here. What its server says in a
/// shape that no client could read is left out; nothing is left of one that is too long.
pub(super) fn described<D: Described + DeserializeOwned>(offer: &Offer, key: &str) -> Option<D> {
    let name = || Value::from(offer.spelling.as_str());
    let mut definition = Map::clone(&offer.definition);
    definition.insert(key.to_owned(), name());
    let bytes = json_bytes(&definition);
    if bytes > ENTRY_BYTES_MAX {
        tracing::warn!(name = offer.name, bytes, "left out of what MCP clients are offered: it is too long");
        return None;
    }
    if let Ok(described) = serde_json::from_value(Value::Object(definition)) {
        return Some(described);
    }
    let mut plain = Map::from_iter([("name".to_owned(), Value::from(offer.own_name.as_str()))]);
    plain.extend(offer.description().map(|text| ("description".to_owned(), Value::from(text))));
    plain
        .extend(offer.input_schema().map(|schema| ("inputSchema".to_owned(), Value::Object(schema.clone()))));
    plain.insert(key.to_owned(), name());
    serde_json::from_value(Value::Object(plain)).ok()
}

/// Asks a server for what `call` wants, unless the call is wanted no more; its result, read by `read`.
async fn ask<T>(
    call: &Call,
    asked: impl Future<Output = Result<Value, CallError>>,
    read: impl FnOnce(Value) -> Option<T>,
) -> Result<T, ErrorData> {
    let result = race(call, asked).await.map_err(refused)?;
    let bytes = json_bytes(&result);
    if bytes > RESULT_BYTES_MAX {
        let reason = format!("the result exceeds {RESULT_BYTES_MAX} bytes of JSON");
        return Err(ErrorData::internal_error(reason, None));
    }
    read(result).ok_or_else(|| ErrorData::internal_error("the server answered with what is no result", None))
}

/// Why there is no result, as an error of the protocol.
fn refused(ended: Ended<CallError>) -> ErrorData {
    match ended {
        Ended::Failed(error) => {
            let message = error.to_string();
            match error {
                CallError::Unknown { what: "resource", .. } => ErrorData::resource_not_found(message, None),
                CallError::Unknown { .. } => ErrorData::invalid_params(message, None),
                CallError::Refused { code, .. } => {
                    let code = i32::try_from(code).map_or(ErrorCode::INTERNAL_ERROR, ErrorCode);
                    ErrorData::new(code, message, None)
                }
                _ => ErrorData::internal_error(message, None),
            }
        }
        // Nobody reads this.
        Ended::Cancelled => ErrorData::internal_error("cancelled", None),
        Ended::Overdue => ErrorData::internal_error("draining", None),
    }
}

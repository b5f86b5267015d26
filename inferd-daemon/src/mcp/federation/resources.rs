//! Resources of upstream servers: a URI of theirs as it is known here enters, what they hold leaves.

use rmcp::model::{ReadResourceResponse, ReadResourceResult, Resource, ResourceTemplate};

use super::{ask, described};
use crate::mcp::menu::{Described, Offered};
use crate::upstream::{Offer, Upstreams};

pub(super) fn resource(offer: &Offer, upstreams: &Upstreams) -> Option<Offered<Resource>> {
    Some(reading(described(offer, "uri")?, upstreams))
}

pub(super) fn template(offer: &Offer, upstreams: &Upstreams) -> Option<Offered<ResourceTemplate>> {
    Some(reading(described(offer, "uriTemplate")?, upstreams))
}

/// Whatever a server has that it does not list.
pub(super) fn others(upstreams: &Upstreams) -> Offered<ResourceTemplate> {
    reading(ResourceTemplate::new("inferd+server://{server}/{+uri}", "others"), upstreams)
}

fn reading<D>(described: D, upstreams: &Upstreams) -> Offered<D>
where
    D: Described<Answer = ReadResourceResponse>,
{
    let upstreams = upstreams.clone();
    Offered::new(described, move |call| {
        let upstreams = upstreams.clone();
        async move {
            let read = |result| serde_json::from_value::<ReadResourceResult>(result).ok();
            Ok(ask(&call, upstreams.read_resource(&call.name), read).await?.into())
        }
    })
}

//! What MCP clients may read of the daemon itself: the state and the models, as the tools of the same kind give them.

use rmcp::model::{ReadResourceResponse, ReadResourceResult, Resource, ResourceContents};
use serde::Serialize;

use super::Caller;
use crate::mcp::menu::Offered;
use crate::mcp::tools::{models, status};

const JSON: &str = "application/json";

/// The daemon's own.
pub(crate) fn own() -> Vec<Offered<Resource>> {
    vec![
        resource("inferd://status", "status", "What runs, what waits, and how each lane is", |caller| {
            status(&caller.service, caller.uptime_s)
        }),
        resource(
            "inferd://models",
            "models",
            "The models that can be named, with the lane that serves each",
            |caller| models(&caller.service),
        ),
    ]
}

fn resource<T: Serialize>(
    uri: &'static str,
    name: &str,
    description: &str,
    see: impl Fn(&Caller) -> T + Send + Sync + 'static,
) -> Offered<Resource> {
    let resource = Resource::new(uri, name).with_description(description).with_mime_type(JSON);
    Offered::new(resource, move |call| {
        let json = serde_json::to_string_pretty(&see(&call.caller)).expect("plain data is JSON");
        let contents = ResourceContents::text(json, uri).with_mime_type(JSON);
        std::future::ready(Ok(ReadResourceResponse::Complete(ReadResourceResult::new(vec![contents]))))
    })
}

//! What MCP clients may read: the state and the models, as the tools of the same kind give them.

use rmcp::ErrorData;
use rmcp::model::{ReadResourceResult, Resource, ResourceContents};

use super::Caller;
use crate::mcp::tools::{models, status};

const STATUS: &str = "inferd://status";
const MODELS: &str = "inferd://models";
const JSON: &str = "application/json";

pub(super) fn list() -> Vec<Resource> {
    let resource = |uri: &str, name: &str, description: &str| {
        Resource::new(uri, name).with_description(description).with_mime_type(JSON)
    };
    vec![
        resource(STATUS, "status", "What runs, what waits, and how each lane is"),
        resource(MODELS, "models", "The models that can be named, with the lane that serves each"),
    ]
}

pub(super) fn read(uri: &str, caller: &Caller) -> Result<ReadResourceResult, ErrorData> {
    let json = match uri {
        STATUS => serde_json::to_string_pretty(&status(&caller.service, caller.uptime_s)),
        MODELS => serde_json::to_string_pretty(&models(&caller.service)),
        _ => return Err(ErrorData::resource_not_found(format!("there is no resource {uri}"), None)),
    };
    let json = json.expect("plain data is JSON");
    Ok(ReadResourceResult::new(vec![ResourceContents::text(json, uri).with_mime_type(JSON)]))
}

//! Content of upstream servers as clients get it: whole, its links leading through here.

use rmcp::model::{ContentBlock, MetaObject};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::upstream::resource_uri;

/// What only means something between a server and the daemon.
const RESERVED: [&str; 2] = ["io.modelcontextprotocol/", "modelcontextprotocol.io/"];

/// A block that `server` gave. One of a kind that no client could read is given as its JSON.
pub(in crate::mcp) fn block(server: &str, mut block: Value) -> ContentBlock {
    let uri = match block["type"].as_str() {
        Some("resource_link") => block.pointer_mut("/uri"),
        Some("resource") => block.pointer_mut("/resource/uri"),
        _ => None,
    };
    if let Some(Value::String(uri)) = uri
        && !is_of_the_web(uri)
    {
        *uri = resource_uri(server, uri);
    }
    ContentBlock::deserialize(&block).unwrap_or_else(|_| ContentBlock::text(block.to_string()))
}

/// What may be said of a result to a client.
pub(in crate::mcp) fn without_reserved(meta: Option<Value>) -> Option<MetaObject> {
    let Some(Value::Object(meta)) = meta else { return None };
    let is_reserved = |key: &str| RESERVED.iter().any(|prefix| key.starts_with(prefix));
    let kept: Map<String, Value> = meta.into_iter().filter(|(key, _)| !is_reserved(key)).collect();
    if kept.is_empty() { None } else { Some(MetaObject(kept)) }
}

/// Whether clients fetch it themselves.
fn is_of_the_web(uri: &str) -> bool {
    uri.starts_with("https://") || uri.starts_with("http://")
}

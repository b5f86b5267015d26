//! Tools of upstream servers: a call enters, and its server's result leaves, whole.
//!
//! Invariants:
//! - A call is passed on once. One that is cancelled, or whose client has left, is cancelled at its server.
//! - Nothing of the client goes upstream but the arguments: no header, no key, no token of its progress.
//! - A server that is away fails the call at once, with the reason.

mod showing;

use std::sync::Arc;

use inferd_proto::Usage;
use rmcp::model::CallToolResult;
use serde_json::json;
use tokio::time::Instant;

use super::racing::{enter, race};
use super::{Call, Failure, Offered};
use crate::audit::{Asked, Entry, Kind, Outcome};
use crate::mcp::federation::{RESULT_BYTES_MAX, block, described, without_reserved};
use crate::mcp::handler::log;
use crate::mcp::size::json_bytes;
use crate::upstream::{CallError, CallResult, Offer, Upstreams};
use showing::Showing;

/// The tool that `offer` describes. `None`: it cannot be offered.
pub(in crate::mcp) fn tool(offer: &Offer, upstreams: &Upstreams) -> Option<Offered> {
    let target = Arc::new(Target {
        upstreams: upstreams.clone(),
        server: offer.server.clone(),
        name: offer.name.clone(),
    });
    let tool = Offered::own(described(offer, "name")?, move |call| {
        let target = Arc::clone(&target);
        async move { run(call, &target).await }
    });
    Some(tool.also_called(offer.name.as_str()))
}

/// What is called.
struct Target {
    upstreams: Upstreams,
    server: String,
    name: String,
}

async fn run(mut call: Call, target: &Target) -> Result<CallToolResult, Failure> {
    let received = Instant::now();
    let arguments = std::mem::take(&mut call.arguments);
    let asked = || Asked { kind: Kind::Call, model: Some(&target.name), bytes: json_bytes(&arguments) };
    let mut entry = enter(&call, received, asked)?;
    entry.runs(&target.server);
    let showing = Showing::new(&call.caller);
    showing.log(log::INFO, || json!({ "status": "calling", "tool": target.name }));
    let work = async {
        let called = target.upstreams.call(&target.name, Some(arguments), |step| showing.step(step));
        let result = tokio::select! {
            biased;
            result = called => result,
            never = showing.run() => match never {},
        };
        if let Err(error) = &result {
            let failed = || json!({ "status": "failed", "tool": target.name, "reason": error.to_string() });
            showing.log(log::WARNING, failed);
        }
        // What is shown on the way is shown before the end, or not at all.
        showing.deliver().await;
        result
    };
    match race(&call, work).await {
        Ok(result) => passed_on(&target.server, result, &mut entry),
        Err(ended) => Err(ended.told(&mut entry, Failure::of_call)),
    }
}

/// The result as the client gets it.
fn passed_on(server: &str, result: CallResult, entry: &mut Entry) -> Result<CallToolResult, Failure> {
    let bytes = json_bytes(&result);
    if bytes > RESULT_BYTES_MAX {
        let reason = format!("its result exceeds {RESULT_BYTES_MAX} bytes of JSON");
        let error = CallError::Malformed { server: server.to_owned(), reason };
        entry.ended((&error).into());
        return Err(Failure::of_call(&error));
    }
    entry.says(bytes);
    entry.served(Usage::default(), None, None);
    let CallResult { content, structured, is_error, meta } = result;
    if is_error {
        entry.ended(Outcome::Failed("tool_failed"));
    }
    let mut passed_on = CallToolResult::default();
    passed_on.content = content.into_iter().map(|content| block(server, content)).collect();
    passed_on.structured_content = structured;
    passed_on.is_error = Some(is_error);
    passed_on.meta = without_reserved(meta);
    Ok(passed_on)
}

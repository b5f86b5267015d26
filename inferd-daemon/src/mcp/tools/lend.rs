//! The tool `lend_model`: a client's model is the daemon's to ask until the call ends.

use std::sync::Arc;

use rmcp::ErrorData;
use rmcp::model::{CallToolResponse, CallToolResult, JsonObject};
use serde_json::{Value, json};

use super::{Call, Failure, Offered, described, fields};
use crate::mcp::Hangup;
use crate::mcp::lend::{Scope, Willing};

pub(super) fn tool() -> Offered {
    let tool = described(
        "lend_model",
        "Lend a model",
        "Offers this client's model to the daemon: while the call is open, programs' requests come back as \
         sampling/createMessage within it; without a session they are its result, to be answered by making it again. \
         Cancel the call to stop.",
        (input(), output()),
        false,
    );
    let schema = tool.input_schema.clone();
    Offered::new(tool, move |call| {
        let schema = schema.clone();
        async move { run(call, &schema).await }
    })
}

async fn run(mut call: Call, schema: &JsonObject) -> Result<CallToolResponse, ErrorData> {
    let scope = match scope(std::mem::take(&mut call.arguments), schema) {
        Ok(scope) => scope,
        Err(wrong) => return Ok(CallToolResult::from(wrong).into()),
    };
    if call.caller.context.protocol_version().is_some_and(|version| !version.has_initialize()) {
        return Arc::clone(call.caller.lender.rounds()).serve(call, scope).await;
    }
    Ok(over_a_session(&call, scope).await.unwrap_or_else(CallToolResult::from).into())
}

/// Lends within the stream of the call, until it is cancelled, the session ends, or the daemon does.
async fn over_a_session(call: &Call, scope: Scope) -> Result<CallToolResult, Failure> {
    let (caller, context) = (&call.caller, &call.caller.context);
    if caller.service.stop.is_said() {
        return Err(Failure::draining());
    }
    let Some(stream) = context.extensions.get::<Hangup>() else {
        return Err(Failure::invalid("lend_model: expected a call of a session"));
    };
    let session = Arc::clone(stream.session());
    let Some(client) = Willing::of(context.peer.clone(), session, &caller.asker) else {
        return Err(Failure::invalid("lend_model: this client has not declared the capability `sampling`"));
    };
    let lend = caller.lender.lend_within(client, (context.id.clone(), stream.stream()), scope);
    tokio::select! {
        biased;
        lent = lend => match lent {
            Ok(()) => Err(Failure::cancelled()),
            Err(already) => Err(Failure::invalid(format!("lend_model: {already}"))),
        },
        () = caller.cancelled() => Err(Failure::cancelled()),
        () = caller.service.stop.draining() => Err(Failure::draining()),
    }
}

fn scope(mut arguments: JsonObject, schema: &JsonObject) -> Result<Scope, Failure> {
    fields::refuse_unknown(&arguments, schema)?;
    match fields::take_text(&mut arguments, "scope")?.as_deref() {
        None | Some("own") => Ok(Scope::Own),
        Some("all") => Ok(Scope::All),
        Some(_) => Err(Failure::invalid("scope: expected `own` or `all`")),
    }
}

fn input() -> Value {
    let scope = json!({
        "enum": ["own", "all"],
        "description": "Whose requests it answers: those of the programs that are its own user's, or everybody's; \
                        default: own",
    });
    fields::object(&json!({ "scope": scope }), &[])
}

/// What a client without a session is told in the end; others end the call themselves.
fn output() -> Value {
    let properties = json!({
        "answered": { "type": "integer", "minimum": 0, "description": "requests that it answered" },
        "again_within_ms": {
            "type": "integer", "minimum": 0, "description": "for how long it is waited for to call this again",
        },
    });
    fields::object(&properties, &["answered", "again_within_ms"])
}

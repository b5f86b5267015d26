//! Prompts: those of upstream servers, and rooms, each of which is what its model is told and what the user says then.

use rmcp::ErrorData;
use rmcp::model::{GetPromptResult, Prompt, PromptArgument, PromptMessage, Role};
use serde::Deserialize;
use serde_json::Value;

use super::{ask, block, described, without_reserved};
use crate::config::RoomConfig;
use crate::mcp::menu::{Call, Offered};
use crate::upstream::{Offer, Upstreams};

/// What the user says, in a room's prompt.
const SAID: &str = "prompt";

pub(super) fn prompt(offer: &Offer, upstreams: &Upstreams) -> Option<Offered<Prompt>> {
    let (upstreams, server, name) = (upstreams.clone(), offer.server.clone(), offer.name.clone());
    let offered = Offered::new(described(offer, "name")?, move |mut call: Call| {
        let (upstreams, server, name) = (upstreams.clone(), server.clone(), name.clone());
        async move {
            let arguments = std::mem::take(&mut call.arguments);
            let asked = upstreams.get_prompt(&name, Some(arguments));
            Ok(ask(&call, asked, |result| read(&server, result)).await?.into())
        }
    });
    Some(offered.also_called(offer.name.as_str()))
}

/// What `server` answered.
fn read(server: &str, mut result: Value) -> Option<GetPromptResult> {
    let Value::Array(messages) = result["messages"].take() else { return None };
    let message = |mut message: Value| {
        let role = Role::deserialize(&message["role"]).ok()?;
        Some(PromptMessage::new(role, block(server, message["content"].take())))
    };
    let mut read = GetPromptResult::new(messages.into_iter().map(message).collect::<Option<_>>()?);
    read.description = result["description"].as_str().map(str::to_owned);
    read.meta = without_reserved(result.get_mut("_meta").map(Value::take));
    Some(read)
}

/// Each room as a prompt, sorted.
pub(super) fn rooms(rooms: &[RoomConfig]) -> impl Iterator<Item = Offered<Prompt>> {
    let mut rooms: Vec<&RoomConfig> = rooms.iter().collect();
    rooms.sort_by(|a, b| a.id.cmp(&b.id));
    rooms.into_iter().map(room)
}

fn room(room: &RoomConfig) -> Offered<Prompt> {
    let description = format!("The room `{}`: its instructions, and what the user says in it", room.id);
    let said = PromptArgument::new(SAID).with_description("What the user says").with_required(true);
    let prompt = Prompt::new(room.id.as_str(), Some(description), Some(vec![said]));
    let system = room.system.clone();
    Offered::new(prompt, move |call| std::future::ready(begin(system.as_deref(), &call).map(Into::into)))
}

fn begin(system: Option<&str>, call: &Call) -> Result<GetPromptResult, ErrorData> {
    let Some(said) = call.arguments.get(SAID).and_then(Value::as_str) else {
        return Err(ErrorData::invalid_params(format!("{SAID}: expected a string"), None));
    };
    // A prompt has no message of the system's.
    let texts = system.into_iter().chain([said]);
    Ok(GetPromptResult::new(texts.map(|text| PromptMessage::new_text(Role::User, text)).collect()))
}

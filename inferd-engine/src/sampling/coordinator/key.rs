//! Which calls may be merged.

use std::sync::Arc;

use rmcp::model::ContextInclusion;
use serde::Serialize;

use crate::sampling::call::Call;
use crate::sampling::text::is_text;

/// Calls of equal key may be one request. The session they go to is the coordinator's own, and calls with tools have
/// no key at all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BatchKey {
    /// The callers', where it matters.
    principal: Option<Arc<str>>,
    /// Likewise.
    program: Option<Arc<str>>,
    /// As JSON, which can be compared where floats cannot.
    model_preferences: String,
    /// As its bits, likewise.
    temperature: Option<u32>,
    stop_sequences: Vec<String>,
    include_context: String,
    metadata: String,
}

impl BatchKey {
    /// The key of `call`; `None` where it can only be sent as it is: with images, tools, or anything else that one text
    /// cannot hold. `across_callers`: whose it is does not matter.
    #[must_use]
    pub fn of(call: &Call, across_callers: bool) -> Option<Self> {
        let params = &call.params;
        let text_alone = params.messages.iter().all(is_text);
        let tools = params.tools.is_some() || params.tool_choice.is_some();
        if call.alone || !text_alone || tools || params.meta.is_some() {
            return None;
        }
        Some(Self {
            principal: call.caller.principal.clone().filter(|_| !across_callers),
            program: call.caller.program.clone().filter(|_| !across_callers),
            model_preferences: json(&params.model_preferences),
            temperature: params.temperature.map(f32::to_bits),
            stop_sequences: params.stop_sequences.clone().unwrap_or_default(),
            include_context: json(
                &params.include_context.as_ref().filter(|it| **it != ContextInclusion::None),
            ),
            metadata: json(&params.metadata),
        })
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data with string keys is JSON")
}

//! The tool calls of one answer, from the fragments they come in.
//!
//! Invariant: what is held is bounded by [`CALLS_MAX`] and [`CALLS_BYTES_MAX`].

use inferd_proto::{FunctionCall, FunctionTag, ToolCall};
use serde_json::value::RawValue;

use crate::GenerateError;

/// The most tool calls of one answer.
const CALLS_MAX: usize = 128;
/// The most bytes of all their names and arguments.
const CALLS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The calls so far.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    calls: Vec<Call>,
    bytes: usize,
}

#[derive(Debug)]
struct Call {
    index: Option<usize>,
    call: ToolCall,
}

/// A tool call, or a part of one.
#[derive(Debug, Default)]
pub(crate) struct Fragment<'a> {
    /// Which call it belongs to.
    pub(crate) index: Option<usize>,
    /// The call's id.
    pub(crate) id: Option<&'a str>,
    /// What follows of the function's name.
    pub(crate) name: Option<&'a str>,
    /// What follows of its arguments.
    pub(crate) arguments: Option<&'a str>,
}

impl Calls {
    /// Adds a fragment to the last call with its index, or to the last one if it has none. An id that is not that call's
    /// begins another: some servers give every call the index 0, or none.
    pub(crate) fn add(&mut self, fragment: &Fragment<'_>) -> Result<(), GenerateError> {
        let Fragment { index, id, name, arguments } = *fragment;
        let id = id.filter(|id| !id.is_empty());
        let open = self.calls.iter().rposition(|call| index.is_none() || call.index == index);
        let open = open.filter(|&at| id.is_none_or(|id| id == self.calls[at].call.id));
        let at = match open {
            Some(at) => at,
            None if self.calls.len() == CALLS_MAX => return Err(too_much()),
            None => {
                let function = FunctionCall { name: String::new(), arguments: String::new() };
                let id = id.unwrap_or_default().to_owned();
                let call = ToolCall { id, r#type: FunctionTag::Function, function };
                self.calls.push(Call { index, call });
                self.calls.len() - 1
            }
        };
        let function = &mut self.calls[at].call.function;
        for (text, into) in [(name, &mut function.name), (arguments, &mut function.arguments)] {
            let Some(text) = text else { continue };
            self.bytes += text.len();
            if self.bytes > CALLS_BYTES_MAX {
                return Err(too_much());
            }
            into.push_str(text);
        }
        Ok(())
    }

    /// Whether a call with this index has begun.
    pub(crate) fn holds(&self, index: Option<usize>) -> bool {
        self.calls.iter().any(|call| call.index == index)
    }

    /// All of them, each under the id that it came with, or under one of ours. Where no arguments came, they are an
    /// object without any.
    pub(crate) fn take(&mut self) -> Vec<ToolCall> {
        let named = |(number, Call { mut call, .. }): (usize, Call)| {
            if call.id.is_empty() {
                call.id = format!("call_{number}");
            }
            if call.function.arguments.is_empty() {
                "{}".clone_into(&mut call.function.arguments);
            }
            call
        };
        std::mem::take(&mut self.calls).into_iter().enumerate().map(named).collect()
    }
}

/// The arguments of a call that the model made earlier, as they stand, if they are an object. No text at all is how some
/// models call a tool without arguments.
pub(crate) fn arguments(text: &str) -> Option<&RawValue> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    let json: &RawValue = serde_json::from_str(text).ok()?;
    json.get().starts_with('{').then_some(json)
}

fn too_much() -> GenerateError {
    GenerateError::Unavailable("the model's tool calls have no end".to_owned())
}

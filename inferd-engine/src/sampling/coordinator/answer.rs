//! What a merged request was answered, task by task.
//!
//! Invariant: a task has the text that was given for it, exactly, or a fault; never another's, and never an empty one
//! that nobody wrote.

use std::fmt;

use rmcp::model::{CreateMessageResult, Role, SamplingMessage};
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::Value;

use crate::sampling::error::{SamplingError, TaskFault};
use crate::sampling::text::{text, unfenced};

/// The answers to the `tasks` of a merged request, in their order; or why none of it is understood.
pub(super) fn read(
    result: &CreateMessageResult,
    tasks: usize,
) -> Result<Vec<Result<String, TaskFault>>, SamplingError> {
    if result.message.role != Role::Assistant {
        return Err(malformed("it is not the assistant's"));
    }
    let text = text(&result.message).ok_or_else(|| malformed("it holds no text"))?;
    let cut_off = result.stop_reason.as_deref() == Some(CreateMessageResult::STOP_REASON_END_MAX_TOKEN);
    let (entries, whole) = entries(unfenced(text.trim()), cut_off)?;
    let absent = if whole { TaskFault::Missing } else { TaskFault::CutOff };
    let mut answers = vec![None; tasks];
    for entry in entries {
        let Some(answer) = index(&entry).and_then(|index| answers.get_mut(index)) else { continue };
        *answer = Some(match (&answer, entry.get("response")) {
            (Some(_), _) => Err(TaskFault::Twice),
            (None, Some(Value::String(text))) => Ok(text.clone()),
            (None, None) => Err(TaskFault::Missing),
            (None, Some(_)) => Err(TaskFault::NotText),
        });
    }
    Ok(answers.into_iter().map(|answer| answer.unwrap_or(Err(absent))).collect())
}

/// One task's answer as a result of its own, which ends where the first of its `stop` sequences begins.
pub(super) fn split(result: &CreateMessageResult, mut text: String, stop: &[String]) -> CreateMessageResult {
    let end = stop.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| text.find(stop.as_str())).min();
    let stop_reason = match end {
        Some(end) => {
            text.truncate(end);
            Some(CreateMessageResult::STOP_REASON_END_SEQUENCE.to_owned())
        }
        None => result.stop_reason.clone(),
    };
    let mut own = CreateMessageResult::new(SamplingMessage::assistant_text(text), result.model.clone());
    own.stop_reason = stop_reason;
    own
}

/// The entries of the array, and whether those are all. Where the answer was cut off, those before the cut.
fn entries(text: &str, cut_off: bool) -> Result<(Vec<Value>, bool), SamplingError> {
    let mut entries = Vec::new();
    let mut json = serde_json::Deserializer::from_str(text);
    let read = json.deserialize_seq(Entries(&mut entries)).and_then(|()| json.end());
    match read {
        Ok(()) => Ok((entries, true)),
        Err(_) if cut_off && text.starts_with('[') => Ok((entries, false)),
        Err(error) if error.is_data() => Err(malformed("it is no JSON array")),
        Err(error) => Err(malformed(&format!("it is no JSON array: {error}"))),
    }
}

fn index(entry: &Value) -> Option<usize> {
    usize::try_from(entry.get("task_index")?.as_u64()?).ok()
}

fn malformed(why: &str) -> SamplingError {
    SamplingError::Malformed(why.to_owned())
}

/// Keeps the entries it has read when a later one cannot be.
struct Entries<'a>(&'a mut Vec<Value>);

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(entry) = entries.next_element()? {
            self.0.push(entry);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! What has been said in a session.

use std::collections::HashSet;
use std::sync::Arc;

use inferd_proto::{Block, Body, Content, Message, Role, ToolCall};

use crate::tools::{ToolError, ToolOutput};

/// The room's instructions, the thread as it was found, and what the session adds.
pub(super) struct Transcript {
    messages: Vec<Message>,
    /// Where the session's own begin.
    own: usize,
}

impl Transcript {
    pub(super) fn new(system: Option<String>, found: Vec<Message>, asked: &[Message]) -> Self {
        let system = system.map(|text| Message { role: Role::System, content: text.into() });
        let mut messages: Vec<Message> = system.into_iter().chain(found).collect();
        let own = messages.len();
        messages.extend_from_slice(asked);
        Self { messages, own }
    }

    pub(super) fn push(&mut self, role: Role, content: Content) {
        self.messages.push(Message { role, content });
    }

    /// All of it, for the next turn.
    pub(super) fn all(&self) -> Arc<[Message]> {
        self.messages.as_slice().into()
    }

    /// What the session has added.
    pub(super) fn added(&self) -> &[Message] {
        &self.messages[self.own..]
    }
}

/// Gives each call an id of its own: some models leave them out, or give one twice.
pub(super) fn tell_apart(calls: &mut [ToolCall], step: u32) {
    let mut seen: HashSet<String> = HashSet::new();
    for (index, call) in calls.iter_mut().enumerate() {
        let mut again = 0;
        while call.id.is_empty() || seen.contains(&call.id) {
            call.id = format!("call_{step}_{}", index + again);
            again += 1;
        }
        seen.insert(call.id.clone());
    }
}

/// What a model reads of a call, and whether it failed.
pub(super) fn shown(outcome: Result<ToolOutput, ToolError>, bytes_max: usize) -> (Body, bool) {
    let output =
        outcome.unwrap_or_else(|error| ToolOutput { body: Body::Text(error.to_string()), is_error: true });
    let body = match cut(output.body, bytes_max) {
        body if !output.is_error => body,
        Body::Text(text) => Body::Text(format!("error: {text}")),
        Body::Blocks(mut blocks) => {
            blocks.insert(0, Block::Text { text: "error:".to_owned() });
            Body::Blocks(blocks)
        }
    };
    (body, output.is_error)
}

/// `body` without what is past `bytes_max`, which is then said at its end.
fn cut(body: Body, bytes_max: usize) -> Body {
    let note = |bytes: usize| format!("[cut: {bytes_max} of {bytes} bytes are shown]");
    match body {
        Body::Text(mut text) => {
            let bytes = text.len();
            if bytes > bytes_max {
                shorten(&mut text, bytes_max);
                text.push('\n');
                text.push_str(&note(bytes));
            }
            Body::Text(text)
        }
        Body::Blocks(blocks) => {
            let bytes = blocks.iter().map(bytes).sum();
            if bytes <= bytes_max {
                return Body::Blocks(blocks);
            }
            let mut room = bytes_max;
            let mut kept = Vec::new();
            for block in blocks {
                match block {
                    Block::Text { mut text } => {
                        shorten(&mut text, room);
                        room -= text.len();
                        kept.push(Block::Text { text });
                    }
                    Block::Image { mime, data } if data.len() <= room => {
                        room -= data.len();
                        kept.push(Block::Image { mime, data });
                    }
                    // Half an image is none.
                    Block::Image { .. } => {}
                }
            }
            kept.push(Block::Text { text: note(bytes) });
            Body::Blocks(kept)
        }
    }
}

/// Cuts `text` to at most so many bytes, between characters.
fn shorten(text: &mut String, bytes_max: usize) {
    let end = (0..=bytes_max.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    text.truncate(end);
}

fn bytes(block: &Block) -> usize {
    match block {
        Block::Text { text } => text.len(),
        Block::Image { data, .. } => data.len(),
    }
}

#[cfg(test)]
mod tests;

//! The text of messages.

use rmcp::model::{SamplingMessage, SamplingMessageContentBlock};

/// The text blocks of `message`, joined by `\n`; `None` where there is none.
pub(super) fn text(message: &SamplingMessage) -> Option<String> {
    let mut blocks = message.content.iter().filter_map(|block| block.as_text());
    let mut text = blocks.next()?.text.clone();
    for block in blocks {
        text.push('\n');
        text.push_str(&block.text);
    }
    Some(text)
}

/// Whether `message` holds text alone.
pub(super) fn is_text(message: &SamplingMessage) -> bool {
    message.content.iter().all(|block| matches!(block, SamplingMessageContentBlock::Text(_)))
}

/// What stands in the code fence of `text`; JSON as it is, and so is text without a fence.
pub(super) fn unfenced(text: &str) -> &str {
    if text.starts_with(['[', '{']) {
        return text;
    }
    let Some((_, fenced)) = text.split_once("```") else { return text };
    let Some((_language, inside)) = fenced.split_once('\n') else { return text };
    inside.rsplit_once("```").map_or(inside, |(inside, _)| inside).trim()
}

//! A conversation as the Messages API knows it: instructions apart, turns of two speakers, blocks in each.
//!
//! Messages of one speaker that follow each other are one turn, as the API would make them itself; the results of tools
//! are the user's, and come first in a turn, where the API looks for them.
//!
//! Invariant: no block is empty, which the API does not take: text of white space alone is left out.

use inferd_proto::{Block as Part, Body, Content, Message, Role, ToolCall};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::request::Unfit;
use crate::remote::arguments;

/// The types of images that the API reads.
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// A field of a message that the API cannot take, and what it does with it.
type Broken = (String, &'static str);

/// A conversation.
#[derive(Default)]
pub(super) struct Conversation<'a> {
    pub(super) system: Blocks<'a>,
    pub(super) turns: Vec<Turn<'a>>,
}

/// What one of the two says before the other goes on.
#[derive(Serialize)]
pub(super) struct Turn<'a> {
    role: Speaker,
    content: Blocks<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Speaker {
    User,
    Assistant,
}

/// Blocks, or a string where they are a single text.
#[derive(Default)]
pub(super) struct Blocks<'a>(Vec<Block<'a>>);

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text {
        text: &'a str,
    },
    Image {
        source: Source<'a>,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: &'a RawValue,
    },
    ToolResult {
        tool_use_id: &'a str,
        #[serde(skip_serializing_if = "Blocks::is_empty")]
        content: Blocks<'a>,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Source<'a> {
    Base64 { media_type: &'a str, data: &'a str },
}

impl<'a> Conversation<'a> {
    pub(super) fn of(messages: &'a [Message]) -> Result<Self, Unfit> {
        let mut conversation = Self::default();
        for (index, message) in messages.iter().enumerate() {
            let unfit = |(field, how): Broken| Unfit { field: format!("messages[{index}].{field}"), how };
            conversation.add(message).map_err(unfit)?;
        }
        if conversation.turns.is_empty() {
            let how = "takes no instructions without a message beside them";
            return Err(Unfit { field: "messages".to_owned(), how });
        }
        Ok(conversation)
    }

    fn add(&mut self, Message { role, content }: &'a Message) -> Result<(), Broken> {
        let mut blocks = parts(content)?;
        match role {
            Role::System | Role::Assistant if content.has_images() => {
                return Err(("content".to_owned(), "takes images from the user and from tools only"));
            }
            Role::System => {
                self.system.0.extend(blocks);
                return Ok(());
            }
            Role::User => {}
            Role::Assistant => {
                for (number, ToolCall { id, function, .. }) in content.tool_calls.iter().enumerate() {
                    let field = || format!("tool_calls[{number}].function.arguments");
                    let input = arguments(&function.arguments)
                        .ok_or_else(|| (field(), "takes a JSON object only"))?;
                    blocks.push(Block::ToolUse { id, name: &function.name, input });
                }
            }
            Role::Tool => {
                let tool_use_id = content.tool_call_id.as_deref().unwrap_or_default();
                blocks = vec![Block::ToolResult { tool_use_id, content: Blocks(blocks) }];
            }
        }
        if blocks.is_empty() {
            return Err(("content".to_owned(), "takes no message without content"));
        }
        let role = if *role == Role::Assistant { Speaker::Assistant } else { Speaker::User };
        match self.turns.last_mut() {
            Some(turn) if turn.role == role => turn.content.join(blocks),
            Some(_) | None => self.turns.push(Turn { role, content: Blocks(blocks) }),
        }
        Ok(())
    }
}

/// The text and images of a message.
fn parts(content: &Content) -> Result<Vec<Block<'_>>, Broken> {
    let text = |text: &'_ str| !text.trim().is_empty();
    match &content.body {
        Body::Text(said) => Ok(text(said).then_some(Block::Text { text: said }).into_iter().collect()),
        Body::Blocks(blocks) => blocks
            .iter()
            .filter(|part| !matches!(part, Part::Text { text: said } if !text(said)))
            .map(|part| match part {
                Part::Text { text } => Ok(Block::Text { text }),
                Part::Image { mime, data } if IMAGES.contains(&mime.as_str()) => {
                    Ok(Block::Image { source: Source::Base64 { media_type: mime, data } })
                }
                Part::Image { .. } => {
                    Err(("content".to_owned(), "takes images in jpeg, png, gif and webp only"))
                }
            })
            .collect(),
    }
}

impl<'a> Blocks<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what the same speaker says next; results of tools go behind those that are there.
    fn join(&mut self, blocks: Vec<Block<'a>>) {
        let is_result = |block: &Block<'_>| matches!(block, Block::ToolResult { .. });
        let at = if blocks.first().is_some_and(is_result) {
            self.0.iter().take_while(|block| is_result(block)).count()
        } else {
            self.0.len()
        };
        self.0.splice(at..at, blocks);
    }
}

impl Serialize for Blocks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [Block::Text { text }] => serializer.serialize_str(text),
            blocks => blocks.serialize(serializer),
        }
    }
}

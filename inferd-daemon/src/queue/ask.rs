//! What the gate has to know of a request, whatever it asks for.

use std::time::Duration;

use inferd_proto::{EmbedRequest, Priority, Resolved};

/// A request as the gate sees it.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// What its prompt is charged: its tokens, at four bytes each until the engine says better; at least 1.
    pub cost: u64,
    /// The band it waits in.
    pub priority: Priority,
    /// The longest it can wait, from when it came.
    pub patience: Option<Duration>,
    /// What it needs beside a slot.
    pub need: Need<'a>,
}

/// What a request needs of the lane that takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Need<'a> {
    /// The model it names.
    pub model: Option<&'a str>,
    /// What is to be done.
    pub work: Work,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Work {
    /// An answer is generated.
    #[default]
    Generate,
    /// Texts are embedded.
    Embed,
}

impl<'a> Need<'a> {
    /// The need of a request that names this model, or none, for an answer.
    #[must_use]
    pub fn answer(model: Option<&'a str>) -> Self {
        Self { model, work: Work::Generate }
    }
}

impl<'a> From<&'a Resolved> for Ask<'a> {
    fn from(request: &'a Resolved) -> Self {
        Self {
            cost: cost(request.messages.iter().map(|message| message.content.text_bytes()).sum()),
            priority: request.priority,
            patience: request.max_wait.into_iter().chain(request.deadline).min(),
            need: Need::answer(request.model.as_deref()),
        }
    }
}

impl<'a> From<&'a EmbedRequest> for Ask<'a> {
    fn from(request: &'a EmbedRequest) -> Self {
        Self {
            cost: cost(request.input.iter().map(String::len).sum()),
            priority: Priority::Normal,
            patience: None,
            need: Need { model: request.model.as_deref(), work: Work::Embed },
        }
    }
}

fn cost(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(4).max(1)
}

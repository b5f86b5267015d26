//! Sees the events of an answer on their way to the client, and remembers what the row is to say.

use super::Entry;
use crate::agent;
use crate::answer::{Event, Replies};

/// Passes events on to `replies`.
#[derive(Debug)]
pub(crate) struct Witness<'a, R> {
    pub(crate) entry: &'a mut Entry,
    pub(crate) replies: &'a mut R,
}

impl<R: Replies + Sync> Replies for Witness<'_, R> {
    fn tell(&mut self, event: Event<'_>) {
        match &event {
            Event::Queued(_) => {}
            Event::Running(lane) | Event::Retrying(lane) => self.entry.runs(lane),
            Event::Token(text) | Event::Thinking(text) => self.entry.says(text.len()),
            Event::Done(done) => self.entry.served(done.usage, done.model.as_deref(), Some(&done.clock)),
        }
        self.replies.tell(event);
    }

    fn room(&self) -> impl Future<Output = ()> + Send {
        self.replies.room()
    }
}

impl<R: agent::Replies + Sync> agent::Replies for Witness<'_, R> {
    fn tell(&mut self, event: agent::Event<'_>) {
        match &event {
            agent::Event::Running { lane, .. } | agent::Event::Retrying { lane, .. } => self.entry.runs(lane),
            agent::Event::Token(text) | agent::Event::Thinking(text) => self.entry.says(text.len()),
            agent::Event::Done(done) => {
                self.entry.served(done.usage, done.model.as_deref(), Some(&done.clock));
            }
            agent::Event::Begins
            | agent::Event::Queued { .. }
            | agent::Event::Calling { .. }
            | agent::Event::Progress { .. }
            | agent::Event::Called { .. } => {}
        }
        self.replies.tell(event);
    }

    fn room(&self) -> impl Future<Output = ()> + Send {
        self.replies.room()
    }
}

//! What was said so far. All of it is sent with each question: the daemon remembers nothing.

use inferd_proto::{Message, Priority, Request, Role};

/// A conversation with one model.
pub(super) struct Conversation {
    pub(super) model: Option<String>,
    pub(super) system: Option<String>,
    turns: Vec<Message>,
}

impl Conversation {
    pub(super) fn new(model: Option<String>, system: Option<String>) -> Self {
        Self { model, system, turns: Vec::new() }
    }

    /// The request that asks `text` next.
    pub(super) fn request(&self, text: &str, progress: bool) -> Request {
        let system = self.system.iter().map(|text| message(Role::System, text));
        let user = message(Role::User, text);
        Request {
            messages: system.chain(self.turns.iter().cloned()).chain([user]).collect(),
            model: self.model.clone(),
            // Somebody is watching.
            priority: Some(Priority::Interactive),
            progress: progress.then_some(true),
            ..Request::default()
        }
    }

    /// Keeps a question with its answer; one that was stopped before it began is no turn.
    pub(super) fn keep(&mut self, question: &str, answer: &str) {
        if !answer.is_empty() {
            self.turns.extend([message(Role::User, question), message(Role::Assistant, answer)]);
        }
    }

    /// Forgets what was said; model and instructions stay.
    pub(super) fn clear(&mut self) {
        self.turns.clear();
    }
}

fn message(role: Role, text: &str) -> Message {
    Message { role, content: text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_sent_with_all_that_was_answered_before_it() {
        let mut conversation = Conversation::new(None, Some("be brief".into()));
        conversation.keep("one?", "1");
        conversation.keep("stopped?", "");
        let spoken = |request: Request| -> Vec<String> {
            request.messages.iter().map(|message| message.content.text().into_owned()).collect()
        };
        assert_eq!(spoken(conversation.request("two?", false)), ["be brief", "one?", "1", "two?"]);
        conversation.clear();
        assert_eq!(spoken(conversation.request("two?", false)), ["be brief", "two?"]);
    }
}

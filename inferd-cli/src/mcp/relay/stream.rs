//! Answers that are streams in, events and the place to go on at out.

use std::time::Duration;

use super::{COME_BACK, PATIENCE};
use crate::mcp::events::{Event, Events};
use crate::mcp::http::{Lost, Reply};

/// A stream of events, over one connection after another.
pub(super) struct Stream {
    reply: Reply,
    events: Events,
    /// Where to go on when it breaks.
    pub(super) cursor: Option<String>,
    /// How long to wait before.
    pub(super) come_back: Duration,
}

impl Stream {
    pub(super) fn new(reply: Reply) -> Self {
        Self { reply, events: Events::default(), cursor: None, come_back: COME_BACK }
    }

    pub(super) fn go_on(&mut self, reply: Reply) {
        self.reply = reply;
        self.events = Events::default();
    }

    pub(super) async fn next(&mut self) -> Result<Option<Event>, Lost> {
        loop {
            if let Some(event) = self.events.next() {
                if let Some(id) = &event.id {
                    self.cursor = Some(id.clone());
                }
                if let Some(retry_ms) = event.retry_ms {
                    self.come_back = Duration::from_millis(retry_ms).min(PATIENCE);
                }
                return Ok(Some(event));
            }
            match self.reply.piece().await? {
                None => return Ok(None),
                Some(piece) => self.events.push(&piece).map_err(|_| Lost::TooLong)?,
            }
        }
    }
}

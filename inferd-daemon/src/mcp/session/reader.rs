//! Reads one stream of a session, in order, from a cursor on.
//!
//! Invariants:
//! - It holds a position and no events. What it gets, it gets once; what it missed, it is told of.
//! - The session counts as in use as long as it is there.

use std::pin::pin;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::cursor::{Cursor, Lagged, Seen};
use super::event::{EventKind, StreamEvent, StreamId};
use super::state::InUse;
use super::streams::{Attached, PROGRESS_BACKLOG, Streams};

/// A reader of a stream.
#[derive(Debug)]
pub struct Reader {
    usage: InUse,
    stream: StreamId,
    place: Place,
}

/// Why nothing more comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The stream is finished, and all it held was read.
    #[error("the stream is finished")]
    Finished,
    /// Another reader has taken the stream.
    #[error("the stream is read elsewhere")]
    Superseded,
    /// The session was deleted or is over.
    #[error("the session has ended")]
    SessionEnded,
}

/// Where a reader is.
#[derive(Debug)]
pub(super) struct Place {
    /// It has read up to here.
    cursor: u64,
    /// Up to here it reads everything, however far behind it is: it came back for that.
    owed: u64,
    lagged: Option<Lagged>,
    attachment: Option<u64>,
    news: Arc<Notify>,
}

impl Place {
    /// One of many readers, at the end of the stream.
    pub(super) fn shared(cursor: u64, news: Arc<Notify>) -> Self {
        Self { cursor, owed: cursor, lagged: None, attachment: None, news }
    }

    /// The one reader of a stream, whose last event was `last` when it came.
    pub(super) fn attached(at: Attached, lagged: Option<Lagged>, last: u64, news: Arc<Notify>) -> Self {
        Self { cursor: at.cursor, owed: last, lagged, attachment: Some(at.attachment), news }
    }

    /// The reader of a stream that is not kept any more.
    pub(super) fn forgotten(seen: Seen) -> Self {
        let cursor = if let Seen::UpTo(id) = seen { id } else { 0 };
        let oldest_available = cursor.saturating_add(1);
        let lagged = Lagged { dropped: 0, last_event_id: cursor, oldest_available };
        Self { cursor, owed: cursor, lagged: Some(lagged), attachment: None, news: Arc::default() }
    }
}

impl Reader {
    pub(super) fn new(usage: InUse, stream: StreamId, place: Place) -> Self {
        Self { usage, stream, place }
    }

    /// The stream it reads.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// How far it is.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor { stream: self.stream, id: self.place.cursor }
    }

    /// The next event, as soon as there is one. A [`EventKind::Lagged`] comes where events were missed; what the stream
    /// still holds follows. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// [`Ended`]: nothing more comes.
    pub async fn recv(&mut self) -> Result<StreamEvent, Ended> {
        loop {
            if let Some(next) = self.try_recv() {
                return next;
            }
            let news = Arc::clone(&self.place.news);
            let mut news = pin!(news.notified());
            // Asked once more after signing up: news in between wake nobody.
            news.as_mut().enable();
            if let Some(next) = self.try_recv() {
                return next;
            }
            news.await;
        }
    }

    /// The next event, if it is there. `None`: nothing yet.
    pub fn try_recv(&mut self) -> Option<Result<StreamEvent, Ended>> {
        let mut streams = self.usage.session().streams();
        if streams.is_ended() {
            return Some(Err(Ended::SessionEnded));
        }
        if let Some(lagged) = self.place.lagged.take() {
            return Some(Ok(StreamEvent::lagged(self.stream, &lagged)));
        }
        self.place.next(self.stream, &mut streams)
    }
}

impl Place {
    fn next(&mut self, id: StreamId, streams: &mut Streams) -> Option<Result<StreamEvent, Ended>> {
        let Some(stream) = streams.get_mut(id) else { return Some(Err(Ended::Finished)) };
        if self.attachment.is_some() && self.attachment != stream.attached.map(|reader| reader.attachment) {
            return Some(Err(Ended::Superseded));
        }
        let behind = stream.ring.held().behind(self.cursor);
        self.cursor = behind.after;
        if let Some(lagged) = behind.lagged {
            return Some(Ok(StreamEvent::lagged(id, &lagged)));
        }
        let last = stream.ring.last();
        let next = loop {
            let next = stream.ring.after(self.cursor);
            self.cursor = next.map_or(self.cursor, |event| event.id);
            match next {
                Some(event) if event.kind == EventKind::Progress && self.skips(last) => {}
                next => break next.cloned(),
            }
        };
        if let (Some(_), Some(attached)) = (self.attachment, &mut stream.attached) {
            attached.cursor = self.cursor;
        }
        match next {
            Some(event) => Some(Ok(event)),
            None => stream.finished.then_some(Err(Ended::Finished)),
        }
    }

    /// Whether it is so far behind that it does without the progress at its cursor.
    fn skips(&self, last: u64) -> bool {
        self.cursor > self.owed && last - self.cursor >= PROGRESS_BACKLOG
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(attachment) = self.place.attachment {
            self.usage.session().streams().detach(self.stream, attachment, Instant::now());
        }
    }
}

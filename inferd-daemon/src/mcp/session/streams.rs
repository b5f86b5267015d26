//! The streams of a session: what its lock guards.
//!
//! Invariants:
//! - At most [`OPEN_STREAMS_MAX`] are unfinished or being read, and of the others the last [`STREAMS_KEPT_MAX`] are kept;
//!   the standalone one is always there.
//! - The events of all take at most [`RING_BYTES_MAX`], but what an attached reader is about to get stays: the last event
//!   of a stream is most often the result that was waited for.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::cursor::Seen;
use super::event::{EventKind, StreamId};
use super::limits::{BUFFER, OPEN_STREAMS_MAX, RING_BYTES_MAX, STREAMS_KEPT_MAX};
use super::ring::Ring;
use super::snapshot::Mirrored;

/// No more streams can be opened until others are finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{OPEN_STREAMS_MAX} streams are open in this session")]
pub struct TooManyStreams;

#[derive(Debug)]
pub(super) struct Streams {
    by_id: BTreeMap<StreamId, Stream>,
    next: u64,
    attachments: u64,
    ended: bool,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) ring: Ring,
    pub(super) finished: bool,
    /// The request it answers.
    pub(super) request: Option<Value>,
    /// The reader that has it to itself.
    pub(super) attached: Option<Attached>,
    /// Since when there is none, where there was one or there is to be.
    unread_since: Option<Instant>,
    /// Wakes readers.
    pub(super) news: Arc<Notify>,
    /// What of it is kept over a restart.
    pub(super) mirrored: Mirrored,
}

/// The one reader that a stream is delivered to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attached {
    /// Which of all readers there were.
    pub(super) attachment: u64,
    /// How far it is.
    pub(super) cursor: u64,
}

impl Stream {
    pub(super) fn new(id: StreamId, request: Option<Value>) -> Self {
        Self {
            ring: Ring::new(id),
            finished: false,
            request,
            attached: None,
            unread_since: None,
            news: Arc::default(),
            mirrored: Mirrored::default(),
        }
    }

    /// Whether more may come, or a reader is there to take what has come.
    fn is_busy(&self) -> bool {
        !self.finished || self.attached.is_some()
    }

    /// Whether a reader is there that has not had the last event.
    fn is_awaited(&self) -> bool {
        self.attached.is_some_and(|reader| reader.cursor < self.ring.last())
    }

    /// How readily it gives up its oldest event: those that keep nothing but a last event after the others, and among
    /// equals the one that holds most. `None`: not at all.
    fn spare(&self) -> Option<(bool, usize)> {
        match self.ring.len() {
            0 => None,
            1 if self.is_awaited() => None,
            events => Some((events > 1, self.ring.bytes())),
        }
    }
}

impl Streams {
    pub(super) fn new() -> Self {
        let standalone = Stream::new(StreamId::STANDALONE, None);
        Self {
            by_id: BTreeMap::from([(StreamId::STANDALONE, standalone)]),
            next: 1,
            attachments: 0,
            ended: false,
        }
    }

    /// Those that were kept, and after them streams from number `next` on.
    pub(super) fn restore(kept: impl Iterator<Item = (StreamId, Stream)>, next: u64) -> Self {
        let mut streams = Self { next, ..Self::new() };
        streams.by_id.extend(kept);
        streams
    }

    /// The number of the next stream.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (StreamId, &Stream)> {
        self.by_id.iter().map(|(id, stream)| (*id, stream))
    }

    pub(super) fn get(&self, id: StreamId) -> Option<&Stream> {
        self.by_id.get(&id)
    }

    /// Whether there was ever such a stream.
    pub(super) fn was_opened(&self, id: StreamId) -> bool {
        id.0 < self.next
    }

    pub(super) fn get_mut(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.by_id.get_mut(&id)
    }

    pub(super) fn standalone(&self) -> &Stream {
        &self.by_id[&StreamId::STANDALONE]
    }

    /// Opens the stream of a request at `now`.
    pub(super) fn open(&mut self, request: Option<Value>, now: Instant) -> Result<StreamId, TooManyStreams> {
        if self.busy_requests() >= OPEN_STREAMS_MAX {
            return Err(TooManyStreams);
        }
        let id = StreamId(self.next);
        self.next += 1;
        self.by_id.insert(id, Stream { unread_since: Some(now), ..Stream::new(id, request) });
        Ok(id)
    }

    /// Streams of requests that are not finished, or are still being read.
    pub(super) fn busy_requests(&self) -> usize {
        self.requests().filter(|(_, stream)| stream.is_busy()).count()
    }

    pub(super) fn requests(&self) -> impl Iterator<Item = (StreamId, &Stream)> {
        self.by_id.range(StreamId(1)..).map(|(id, stream)| (*id, stream))
    }

    /// Keeps an event for the readers of a stream and tells them. `None`: the stream is finished or not there.
    pub(super) fn publish(&mut self, stream: StreamId, kind: EventKind, data: Arc<Value>) -> Option<u64> {
        let found = self.by_id.get_mut(&stream).filter(|stream| !stream.finished)?;
        let id = found.ring.push(kind, data);
        found.news.notify_waiters();
        self.shrink();
        Some(id)
    }

    /// As [`Streams::publish`] on the stream that is always there and never finished.
    pub(super) fn publish_standalone(&mut self, kind: EventKind, data: Arc<Value>) -> u64 {
        let published = self.publish(StreamId::STANDALONE, kind, data);
        published.expect("the standalone stream is always there and never finished")
    }

    /// Nothing comes on this stream any more. Forgets the oldest finished streams where too many are kept.
    pub(super) fn finish(&mut self, stream: StreamId) -> bool {
        let open = self.by_id.get_mut(&stream).filter(|found| !found.finished && stream.0 > 0);
        let Some(found) = open else { return false };
        found.finished = true;
        found.news.notify_waiters();
        let kept: Vec<_> =
            self.requests().filter(|(_, stream)| !stream.is_busy()).map(|(id, _)| id).collect();
        for id in &kept[..kept.len().saturating_sub(STREAMS_KEPT_MAX)] {
            self.by_id.remove(id);
        }
        true
    }

    /// Lets go of the oldest events until what is kept fits.
    fn shrink(&mut self) {
        let mut bytes: usize = self.by_id.values().map(|stream| stream.ring.bytes()).sum();
        while bytes > RING_BYTES_MAX {
            let fullest = self.by_id.values_mut().filter(|stream| stream.spare().is_some());
            let Some(stream) = fullest.max_by_key(|stream| stream.spare()) else { return };
            let before = stream.ring.bytes();
            stream.ring.drop_oldest();
            bytes -= before - stream.ring.bytes();
        }
    }

    /// Makes a reader the one that `stream` is delivered to, in place of whoever was before.
    pub(super) fn attach(&mut self, stream: StreamId, seen: Seen) -> Option<(Attached, super::Replay)> {
        let found = self.by_id.get_mut(&stream)?;
        let replay = found.ring.held().replay(seen);
        self.attachments += 1;
        let attached = Attached { attachment: self.attachments, cursor: replay.after };
        found.attached = Some(attached);
        found.unread_since = None;
        found.news.notify_waiters();
        Some((attached, replay))
    }

    /// Takes a reader's stream from it, unless another has it already.
    pub(super) fn detach(&mut self, stream: StreamId, attachment: u64, now: Instant) {
        if let Some(found) = self.by_id.get_mut(&stream)
            && found.attached.is_some_and(|attached| attached.attachment == attachment)
        {
            found.attached = None;
            found.unread_since = Some(now);
            // Whoever heeds whether it is read.
            found.news.notify_waiters();
        }
    }

    /// Streams of requests that are not finished and that nobody has read since `before`.
    pub(super) fn unread_since(&self, before: Instant) -> impl Iterator<Item = StreamId> {
        let unread = move |stream: &Stream| stream.unread_since.is_some_and(|since| since <= before);
        self.requests().filter(move |(_, stream)| !stream.finished && unread(stream)).map(|(id, _)| id)
    }

    /// Ends all streams.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.by_id.values().for_each(|stream| stream.news.notify_waiters());
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }
}

/// How far behind a reader may be before it does without progress.
pub(super) const PROGRESS_BACKLOG: u64 = BUFFER as u64 / 2;

//! One session: its principal, its age, its streams.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::cursor::{Cursor, Replay, Seen};
use super::event::{EventKind, StreamEvent, StreamId};
use super::id::Principal;
use super::limits::{ABSOLUTE, INACTIVITY, SWEEP};
use super::persist::Mark;
use super::reader::{Place, Reader};
use super::streams::{Streams, TooManyStreams};

/// A session. Publishing and reading need nothing else.
pub struct SessionState {
    principal: Principal,
    tenant: Option<Arc<str>>,
    created: Instant,
    last_access: Mutex<Instant>,
    /// Readers and calls.
    uses: AtomicUsize,
    streams: Mutex<Streams>,
    ended: CancellationToken,
    initialize: OnceLock<Arc<Value>>,
    /// Set where sessions are kept over a restart.
    mark: OnceLock<Mark>,
}

impl SessionState {
    /// One that begins at `now`.
    #[must_use]
    pub fn new(principal: Principal, tenant: Option<Arc<str>>, now: Instant) -> Self {
        Self::with_streams(principal, tenant, now, Streams::new())
    }

    pub(super) fn with_streams(
        principal: Principal,
        tenant: Option<Arc<str>>,
        created: Instant,
        streams: Streams,
    ) -> Self {
        Self {
            principal,
            tenant,
            created,
            last_access: Mutex::new(created),
            uses: AtomicUsize::new(0),
            streams: Mutex::new(streams),
            ended: CancellationToken::new(),
            initialize: OnceLock::new(),
            mark: OnceLock::new(),
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The part of the principal's world it belongs to, where there are several.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// When it began.
    #[must_use]
    pub fn created(&self) -> Instant {
        self.created
    }

    /// What the client said when the session began, once it is known.
    #[must_use]
    pub fn initialize(&self) -> Option<&Arc<Value>> {
        self.initialize.get()
    }

    /// Remembers what the client said when the session began; the first word stands.
    pub fn set_initialize(&self, said: impl Into<Arc<Value>>) {
        self.initialize.get_or_init(|| said.into());
        self.changed();
    }

    /// Cancelled when the session is deleted or over: whatever runs for it ends then.
    #[must_use]
    pub fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// Keeps an event of the standalone stream and tells its readers; the event's id.
    pub fn publish_event(&self, kind: EventKind, data: impl Into<Arc<Value>>) -> u64 {
        let id = self.streams().publish_standalone(kind, data.into());
        self.changed();
        id
    }

    /// Keeps an event of `stream` and tells its readers; the event's id. `None`: the stream is finished or forgotten.
    pub fn publish_on(&self, stream: StreamId, kind: EventKind, data: impl Into<Arc<Value>>) -> Option<u64> {
        let id = self.streams().publish(stream, kind, data.into());
        self.changed();
        id
    }

    /// Opens a stream for the answer to `request`, the id that the client gave it. The session is in use until it is
    /// finished.
    ///
    /// # Errors
    /// [`TooManyStreams`].
    pub fn open_stream(&self, request: Option<Value>) -> Result<StreamId, TooManyStreams> {
        let opened = self.streams().open(request, Instant::now());
        self.changed();
        opened
    }

    /// Keeps `last`, the message that ends `stream`, and finishes it in the same step. What was published stays for those
    /// who come back. False: it was finished or forgotten before, or is the standalone one.
    pub fn finish_stream(&self, stream: StreamId, last: Option<Arc<Value>>) -> bool {
        if stream == StreamId::STANDALONE {
            return false;
        }
        let finished = {
            let mut streams = self.streams();
            let said = last.is_none_or(|last| streams.publish(stream, EventKind::Message, last).is_some());
            said && streams.finish(stream)
        };
        self.changed();
        finished
    }

    /// The streams that are not finished, with the requests they answer.
    #[must_use]
    pub fn unfinished(&self) -> Vec<(StreamId, Option<Value>)> {
        let streams = self.streams();
        let open = streams.requests().filter(|(_, stream)| !stream.finished);
        open.map(|(id, stream)| (id, stream.request.clone())).collect()
    }

    /// Streams of requests that are not finished and that nobody has read since `before`.
    #[must_use]
    pub fn unread_since(&self, before: Instant) -> Vec<StreamId> {
        self.streams().unread_since(before).collect()
    }

    /// Reads the standalone stream from now on, beside whoever else reads it.
    #[must_use]
    pub fn subscribe_events(self: &Arc<Self>) -> Reader {
        let place = {
            let streams = self.streams();
            let standalone = streams.standalone();
            Place::shared(standalone.ring.last(), Arc::clone(&standalone.news))
        };
        Reader::new(InUse::of(self), StreamId::STANDALONE, place)
    }

    /// What the standalone stream holds, oldest first.
    #[must_use]
    pub fn snapshot_replay_buffer(&self) -> Vec<StreamEvent> {
        self.streams().standalone().ring.events().cloned().collect()
    }

    /// Reads `stream` from the start of what it holds, in place of the reader it had. `None`: it is forgotten.
    #[must_use]
    pub fn read(self: &Arc<Self>, stream: StreamId) -> Option<Reader> {
        self.attach(stream, Seen::New)
    }

    /// Goes on with the stream that `last_event_id` names after that event, in place of the reader it had. One that makes
    /// no sense has seen nothing of the standalone stream. The reader of a stream that is forgotten is told so and ends.
    #[must_use]
    pub fn resume(self: &Arc<Self>, last_event_id: &str) -> Reader {
        let known = Cursor::parse(last_event_id).filter(|cursor| self.streams().was_opened(cursor.stream));
        let (stream, seen) = match known {
            Some(cursor) => (cursor.stream, Seen::UpTo(cursor.id)),
            None => (StreamId::STANDALONE, Seen::Garbage),
        };
        self.attach(stream, seen)
            .unwrap_or_else(|| Reader::new(InUse::of(self), stream, Place::forgotten(seen)))
    }

    fn attach(self: &Arc<Self>, stream: StreamId, seen: Seen) -> Option<Reader> {
        let place = {
            let mut streams = self.streams();
            let (attached, Replay { lagged, .. }) = streams.attach(stream, seen)?;
            let found = streams.get(stream).expect("a reader was attached to it under this lock");
            Place::attached(attached, lagged, found.ring.last(), Arc::clone(&found.news))
        };
        Some(Reader::new(InUse::of(self), stream, place))
    }

    /// Counts as activity while it is held.
    pub fn hold(self: &Arc<Self>) -> InUse {
        InUse::of(self)
    }

    /// Whether a reader, a call or a guard uses it.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.uses.load(Ordering::Acquire) > 0 || self.streams().busy_requests() > 0
    }

    pub(super) fn touch(&self, now: Instant) {
        let mut last = self.last_access.lock().unwrap_or_else(PoisonError::into_inner);
        let since = now.saturating_duration_since(*last);
        *last = now.max(*last);
        drop(last);
        // To the minute is enough for a session that nothing is said in.
        if since >= SWEEP {
            self.changed();
        }
    }

    pub(super) fn last_access(&self) -> Instant {
        *self.last_access.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is over. Use keeps it from ending, but not beyond its absolute limit.
    pub(super) fn is_expired(&self, now: Instant) -> bool {
        now >= self.created + ABSOLUTE || (now >= self.last_access() + INACTIVITY && !self.is_in_use())
    }

    /// Ends its streams and whatever runs for it.
    pub(super) fn end(&self) {
        self.streams().end();
        self.ended.cancel();
    }

    /// Has its changes written behind from now on.
    pub(super) fn keep(&self, mark: Mark) {
        self.mark.get_or_init(|| mark).set();
    }

    pub(super) fn mark(&self) -> Option<&Mark> {
        self.mark.get()
    }

    fn changed(&self) {
        if let Some(mark) = self.mark() {
            mark.set();
        }
    }

    /// No panic can leave the streams half changed, so a poisoned lock is as good as any.
    pub(super) fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a session holds may be private; who it belongs to is not.
impl fmt::Debug for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionState").field("principal", &self.principal).finish_non_exhaustive()
    }
}

/// A use of a session. Dropping it is activity too.
#[derive(Debug)]
#[must_use = "the session is in use as long as this is held"]
pub struct InUse {
    session: Arc<SessionState>,
}

impl InUse {
    fn of(session: &Arc<SessionState>) -> Self {
        session.uses.fetch_add(1, Ordering::AcqRel);
        Self { session: Arc::clone(session) }
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> &Arc<SessionState> {
        &self.session
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.session.touch(Instant::now());
        self.session.uses.fetch_sub(1, Ordering::AcqRel);
    }
}

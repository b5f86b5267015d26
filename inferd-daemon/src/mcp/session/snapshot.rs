//! A session as it is kept, and as it comes back.
//!
//! Invariant: a session that comes back gives no id twice, though the last ones it gave may not have been kept: it goes on
//! [`RESERVE`] later. So a client that has seen more than was kept gets nothing twice either.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::event::StreamId;
use super::id::SessionId;
use super::shelf::{Changes, Profile, Saved, StreamChanges};
use super::state::SessionState;
use super::streams::{Stream, Streams};

/// Ids that are passed over by a session that comes back: more than can have been given since it was last kept.
pub(super) const RESERVE: u64 = 1 << 20;

/// How much of a stream is kept already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mirrored {
    next: u64,
    gone: u64,
    finished: bool,
}

impl SessionState {
    /// What is new since [`SessionState::was_saved`], at `now`, which is `wall_ms` since 1970.
    pub(super) fn changes(&self, id: SessionId, now: Instant, wall_ms: i64) -> Changes {
        let ago = |at: Instant| wall_ms.saturating_sub(millis(now.saturating_duration_since(at)));
        let streams = self.streams();
        Changes {
            id,
            profile: Profile {
                principal: self.principal().clone(),
                tenant: self.tenant().map(Arc::from),
                created_ms: ago(self.created()),
                touched_ms: ago(self.last_access()),
                initialize: self.initialize().cloned(),
                next_stream: streams.next(),
            },
            streams: streams.all().map(|(id, _)| id).collect(),
            changed: streams.all().filter_map(|(id, stream)| stream.changes(id)).collect(),
        }
    }

    /// `changes` are kept.
    pub(super) fn was_saved(&self, changes: &Changes) {
        let mut streams = self.streams();
        for changed in &changes.changed {
            if let Some(stream) = streams.get_mut(changed.id) {
                stream.mirrored =
                    Mirrored { next: changed.next, gone: changed.gone, finished: changed.finished };
            }
        }
    }

    /// The session that was `saved`, at `now`, which is `wall_ms` since 1970.
    pub(super) fn restore(saved: Saved, now: Instant, wall_ms: i64) -> Self {
        let Saved { profile, streams } = saved;
        let back = |then_ms: i64| {
            let past = u64::try_from(wall_ms.saturating_sub(then_ms)).unwrap_or(0);
            // Where the clock does not reach back as far, it begins anew.
            now.checked_sub(Duration::from_millis(past)).unwrap_or(now)
        };
        let next = profile.next_stream.saturating_add(RESERVE);
        let streams =
            Streams::restore(streams.into_iter().map(|saved| (saved.id, Stream::restore(saved))), next);
        let session =
            Self::with_streams(profile.principal, profile.tenant, back(profile.created_ms), streams);
        session.touch(back(profile.touched_ms));
        if let Some(initialize) = profile.initialize {
            session.set_initialize(initialize);
        }
        session
    }
}

impl Stream {
    fn changes(&self, id: StreamId) -> Option<StreamChanges> {
        let held = self.ring.held();
        let now = Mirrored { next: held.next, gone: held.gone, finished: self.finished };
        (now != self.mirrored).then(|| StreamChanges {
            id,
            request: self.request.clone(),
            finished: self.finished,
            gone: held.gone,
            next: held.next,
            events: self.ring.events().filter(|event| event.id >= self.mirrored.next).cloned().collect(),
        })
    }

    fn restore(saved: StreamChanges) -> Self {
        let StreamChanges { id, request, finished, gone, next, events } = saved;
        let mut stream = Self::new(id, request);
        stream.mirrored = Mirrored { next, gone, finished };
        stream.finished = finished;
        let next = if finished { next } else { next.saturating_add(RESERVE) };
        stream.ring.restore(gone, next, events);
        stream
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

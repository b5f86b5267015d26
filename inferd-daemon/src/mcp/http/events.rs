//! A stream of a session as server-sent events.
//!
//! What has an id moves the client's cursor; what is made up on the way (`init`, `lagged`, signs of life) has none.
//! Messages go out as `message`, progress too: standard clients skip what they do not know by name.
//!
//! Invariants:
//! - Nothing is held but what is being written: whoever does not read holds up nobody and costs nothing.
//! - The standalone stream ends when the daemon drains; a call's is there until its answer has been read.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::json;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::mcp::session::{EventKind, Reader, StreamEvent, StreamId};

/// How long a client waits before it comes back.
const RETRY: Duration = Duration::from_secs(1);

/// Events are put together up to as many bytes, if they are there already.
const CHUNK_BYTES: usize = 16 * 1024;

/// Writes a stream.
#[derive(Debug)]
pub(super) struct Events {
    reader: Reader,
    heartbeat: Duration,
    /// Whether signs of life are events or comments, which no program sees.
    named: bool,
    until: CancellationToken,
    /// Written before all else.
    opening: String,
    next_beat: Instant,
}

impl Events {
    /// What a GET reads: ends with `until`, or with the call that it came back for.
    pub(super) fn standing(reader: Reader, heartbeat: Duration, until: CancellationToken) -> Self {
        let mut opening = format!("retry: {}\n", RETRY.as_millis());
        let data = json!({ "stream": reader.stream(), "last_event_id": reader.cursor().to_string() });
        write_event(&mut opening, &StreamEvent::synthetic(reader.stream(), EventKind::Init, data));
        // A call that was come back for is answered while the daemon drains.
        let until = if reader.stream() == StreamId::STANDALONE { until } else { CancellationToken::new() };
        Self::new(reader, heartbeat, until, opening, true)
    }

    /// What a POST reads. It begins with an event that says nothing but where to come back to, for clients that know
    /// how: 2025-11-25 and later.
    pub(super) fn of_call(reader: Reader, heartbeat: Duration, resumable: bool) -> Self {
        let opening = if resumable {
            format!("id: {}\nretry: {}\ndata: \n\n", reader.cursor(), RETRY.as_millis())
        } else {
            String::new()
        };
        Self::new(reader, heartbeat, CancellationToken::new(), opening, false)
    }

    fn new(
        reader: Reader,
        heartbeat: Duration,
        until: CancellationToken,
        opening: String,
        named: bool,
    ) -> Self {
        Self { reader, heartbeat, named, until, opening, next_beat: Instant::now() + heartbeat }
    }

    pub(super) fn into_body(self) -> BoxBody<Bytes, Infallible> {
        let chunks = stream::unfold(self, |mut events| async move {
            let chunk = events.chunk().await?;
            Some((Ok::<_, Infallible>(Frame::data(chunk)), events))
        });
        StreamBody::new(chunks).boxed()
    }

    /// What is written next. `None`: nothing ever.
    async fn chunk(&mut self) -> Option<Bytes> {
        let mut text = std::mem::take(&mut self.opening);
        if text.is_empty() {
            tokio::select! {
                biased;
                () = self.until.cancelled() => return None,
                event = self.reader.recv() => write_event(&mut text, &event.ok()?),
                () = sleep_until(self.next_beat) => self.beat(&mut text),
            }
        }
        while text.len() < CHUNK_BYTES
            && let Some(Ok(event)) = self.reader.try_recv()
        {
            write_event(&mut text, &event);
        }
        self.next_beat = Instant::now() + self.heartbeat;
        Some(text.into())
    }

    fn beat(&self, text: &mut String) {
        if self.named {
            write_event(text, &StreamEvent::synthetic(self.reader.stream(), EventKind::Heartbeat, json!({})));
        } else {
            text.push_str(": alive\n\n");
        }
    }
}

/// JSON has no line breaks, so an event's data is one line.
fn write_event(text: &mut String, event: &StreamEvent) {
    let name = match event.kind {
        EventKind::Progress => EventKind::Message,
        kind => kind,
    };
    let written = match event.cursor() {
        Some(cursor) => write!(text, "event: {}\nid: {cursor}\ndata: {}\n\n", name.as_str(), event.data),
        None => write!(text, "event: {}\ndata: {}\n\n", name.as_str(), event.data),
    };
    written.expect("a string takes whatever is written to it");
}

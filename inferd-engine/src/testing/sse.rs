//! Server-sent events from any bytes: those of the standard, wherever the chunks end.

#![expect(clippy::missing_panics_doc, reason = "a check fails by panicking")]

use inferd_proto::testing::chunked;

use crate::http::sse::EVENT_BYTES_MAX;
use crate::http::sse::standard::{decoded, plainly};

/// A limit that short inputs pass.
const SMALL_EVENT_BYTES_MAX: usize = 16;

/// Decodes the stream of a [`chunked`] input, whole and in its chunks; panics where the events differ from what the
/// standard makes of it, or where a limit is passed unseen.
pub fn sse(input: &[u8]) {
    let (stream, chunks) = chunked(input);
    for event_bytes_max in [SMALL_EVENT_BYTES_MAX, EVENT_BYTES_MAX] {
        let expected = plainly(stream, event_bytes_max);
        assert_eq!(decoded([stream], event_bytes_max), expected, "whole, at most {event_bytes_max} bytes");
        let split = decoded(chunks.iter().copied(), event_bytes_max);
        assert_eq!(split, expected, "split, at most {event_bytes_max} bytes");
    }
}

//! An answer in HTTP/1.1 from any bytes: the same wherever they are cut.

#![expect(clippy::missing_panics_doc, reason = "a check fails by panicking")]

use inferd_proto::testing::chunked;

use crate::http::heard;

/// Reads the stream of a [`chunked`] input, whole and in its chunks; panics where that makes a difference.
pub fn http(input: &[u8]) {
    let (stream, chunks) = chunked(input);
    assert_eq!(heard(chunks), heard([stream]));
}

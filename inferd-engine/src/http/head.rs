//! The head of an answer: its status and headers, and how the end of its body will be known (RFC 9112, section 6.3).
//!
//! Invariants:
//! - A head that leaves room for two readings of where its body ends is refused, and so is one that goes on for more
//!   than [`HEAD_BYTES_MAX`].
//! - Interim answers (1xx) are passed over, as part of the head.

use bytes::{Buf, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{StatusCode, Version};

use super::chunked::Chunked;
use super::framing::Framing;

/// The most bytes of a status line and headers together.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// The most headers.
const HEADERS_MAX: usize = 100;

/// A head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) framing: Framing,
    /// Whether the connection may carry another exchange after the body.
    pub(super) lasting: bool,
}

/// Bytes that are no head, or one that cannot be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadHead {
    /// It does not parse.
    #[error("the server does not speak HTTP/1.1")]
    NoHttp,
    /// It has no end.
    #[error("the head of the answer exceeds {HEAD_BYTES_MAX} bytes or {HEADERS_MAX} headers")]
    TooLong,
    /// It tells the length of the body in no way, or in more than one.
    #[error("the answer does not tell its length in one way")]
    Length,
}

/// The head at the beginning of `buffer`, which is taken out of it. `None`: there is more of it to come.
pub(super) fn take(buffer: &mut BytesMut) -> Result<Option<Head>, BadHead> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut headers);
        let length = match parsed.parse(buffer) {
            Ok(httparse::Status::Complete(length)) => Some(length),
            Ok(httparse::Status::Partial) => None,
            Err(httparse::Error::TooManyHeaders) => return Err(BadHead::TooLong),
            Err(_) => return Err(BadHead::NoHttp),
        };
        if length.unwrap_or(buffer.len()) > HEAD_BYTES_MAX {
            return Err(BadHead::TooLong);
        }
        let Some(length) = length else { return Ok(None) };
        let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(BadHead::NoHttp)?;
        // Nobody asked for another protocol.
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(BadHead::NoHttp);
        }
        let head = if status.is_informational() { None } else { Some(read(status, &parsed)?) };
        buffer.advance(length);
        if head.is_some() {
            return Ok(head);
        }
    }
}

fn read(status: StatusCode, parsed: &httparse::Response<'_, '_>) -> Result<Head, BadHead> {
    let version = if parsed.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    for header in &*parsed.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| BadHead::NoHttp)?;
        let value = HeaderValue::from_bytes(header.value).map_err(|_| BadHead::NoHttp)?;
        headers.append(name, value);
    }
    let framing = framing(status, version, &headers)?;
    let lasting =
        version == Version::HTTP_11 && !says_close(&headers) && !matches!(framing, Framing::UntilClose);
    Ok(Head { status, headers, framing, lasting })
}

fn framing(status: StatusCode, version: Version, headers: &HeaderMap) -> Result<Framing, BadHead> {
    let coding = only(headers, &TRANSFER_ENCODING)?;
    let length = only(headers, &CONTENT_LENGTH)?;
    let framing = match (coding, length) {
        (None, None) => Framing::UntilClose,
        (None, Some(length)) => Framing::Length(number(length.as_bytes()).ok_or(BadHead::Length)?),
        // No other coding was offered to the server.
        (Some(coding), None)
            if version == Version::HTTP_11 && coding.as_bytes().eq_ignore_ascii_case(b"chunked") =>
        {
            Framing::Chunked(Chunked::new())
        }
        (Some(_), _) => return Err(BadHead::Length),
    };
    let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    Ok(if bodiless { Framing::Length(0) } else { framing })
}

/// The value of a header that may be there once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h HeaderValue>, BadHead> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(BadHead::Length) } else { Ok(first) }
}

/// Digits and nothing else: no sign, no list.
fn number(digits: &[u8]) -> Option<u64> {
    let text =
        std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    text.parse().ok()
}

fn says_close(headers: &HeaderMap) -> bool {
    let options =
        headers.get_all(CONNECTION).iter().flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    options.map(<[u8]>::trim_ascii).any(|option| option.eq_ignore_ascii_case(b"close"))
}

#[cfg(test)]
mod tests;

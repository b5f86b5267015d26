//! What a lender is given to come back with (`requestState`): which lender it is and which round, sealed.
//!
//! A handle enters and leaves as text; a client holds the text and may do with it what it likes. Time is an argument.
//!
//! Invariants:
//! - What was not sealed here, for this caller and this request, does not open, and neither does what is over.
//! - The key is the process's own: no text opens after a restart.

use std::fmt::Write;
use std::time::Duration;

use ring::hmac;
use ring::rand::SystemRandom;
use tokio::time::Instant;
use uuid::Uuid;

/// Says what a tag is for: one of another purpose is none here.
const PURPOSE: &[u8] = b"inferd lend_model requestState 1";

/// A lender's id, a round's number, and when it is over, in milliseconds since the seal was made.
const HANDLE_BYTES: usize = 16 + 8 + 8;
const TAG_BYTES: usize = 32;

/// What a lender comes back with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handle {
    pub(crate) lender: Uuid,
    pub(crate) round: u64,
}

/// Why a text does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    /// It was changed, made by somebody else, or given to somebody else or with another request.
    #[error("it was not given to this caller with this request by the daemon that runs now")]
    Foreign,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
}

/// Seals and opens. Tags are HMAC-SHA-256.
#[derive(Debug)]
pub(crate) struct Seal {
    key: hmac::Key,
    made: Instant,
}

impl Seal {
    /// One with a key of its own.
    pub(crate) fn new(now: Instant) -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .expect("the system has random bytes, or TLS and ids would not work either");
        Self { key, made: now }
    }

    /// `handle` as text that opens until then, for whoever is `bound` to it as the sealed one is: a caller, and what
    /// it asked for.
    pub(crate) fn seal(&self, handle: Handle, bound: &[&[u8]], until: Instant) -> String {
        let mut bytes = Vec::with_capacity(HANDLE_BYTES + TAG_BYTES);
        bytes.extend(handle.lender.as_bytes());
        bytes.extend(handle.round.to_be_bytes());
        bytes.extend(self.millis(until).to_be_bytes());
        let tag = hmac::sign(&self.key, &signed(&bytes, bound));
        bytes.extend(tag.as_ref());
        let mut text = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            write!(text, "{byte:02x}").expect("a string takes all");
        }
        text
    }

    /// The handle in `text`.
    pub(crate) fn open(&self, text: &str, bound: &[&[u8]], now: Instant) -> Result<Handle, SealError> {
        let bytes = unhex(text).ok_or(SealError::Foreign)?;
        let (handle, tag) = bytes.split_at(HANDLE_BYTES);
        // In constant time.
        hmac::verify(&self.key, &signed(handle, bound), tag).map_err(|_| SealError::Foreign)?;
        let (lender, rest) = handle.split_first_chunk().expect("there are as many bytes");
        let (round, until) = rest.split_first_chunk().expect("there are as many bytes");
        let (until, _) = until.split_first_chunk().expect("there are as many bytes");
        if self.millis(now) >= u64::from_be_bytes(*until) {
            return Err(SealError::Expired);
        }
        Ok(Handle { lender: Uuid::from_bytes(*lender), round: u64::from_be_bytes(*round) })
    }

    fn millis(&self, then: Instant) -> u64 {
        let since: Duration = then.saturating_duration_since(self.made);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

/// What a tag is made of: every part with its length, so that none can end where another began.
fn signed(handle: &[u8], bound: &[&[u8]]) -> Vec<u8> {
    let mut all = PURPOSE.to_vec();
    for part in [handle].iter().chain(bound) {
        all.extend((part.len() as u64).to_be_bytes());
        all.extend(*part);
    }
    all
}

/// The bytes of a sealed text, which has one spelling.
fn unhex(text: &str) -> Option<[u8; HANDLE_BYTES + TAG_BYTES]> {
    let digits = text.as_bytes();
    let mut bytes = [0; HANDLE_BYTES + TAG_BYTES];
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UNTIL: Duration = Duration::from_secs(25);

    fn handle() -> Handle {
        Handle { lender: Uuid::now_v7(), round: 7 }
    }

    #[test]
    fn what_was_sealed_opens_until_its_time_is_over() {
        let now = Instant::now();
        let (seal, handle) = (Seal::new(now), handle());
        let text = seal.seal(handle, &[b"ci", b"{}"], now + UNTIL);
        let open = |after| seal.open(&text, &[b"ci", b"{}"], now + after);
        assert_eq!(open(Duration::ZERO), Ok(handle));
        assert_eq!(open(Duration::from_millis(24_999)), Ok(handle));
        assert_eq!(open(UNTIL), Err(SealError::Expired));
        assert_eq!(open(UNTIL * 1000), Err(SealError::Expired));
    }

    #[test]
    fn another_caller_another_request_and_another_process_open_nothing() {
        let now = Instant::now();
        let seal = Seal::new(now);
        let text = seal.seal(handle(), &[b"ci", b"{}"], now + UNTIL);
        let others: [&[&[u8]]; 5] =
            [&[b"cd", b"{}"], &[b"ci", b"[]"], &[b"ci{", b"}"], &[b"ci{}"], &[b"", b"ci", b"{}"]];
        for other in others {
            assert_eq!(seal.open(&text, other, now), Err(SealError::Foreign), "{other:?}");
        }
        assert_eq!(Seal::new(now).open(&text, &[b"ci", b"{}"], now), Err(SealError::Foreign));
    }

    #[test]
    fn no_digit_can_be_changed_left_out_or_added() {
        let now = Instant::now();
        let seal = Seal::new(now);
        let text = seal.seal(handle(), &[b"ci"], now + UNTIL);
        for at in 0..text.len() {
            let digit = if &text[at..=at] == "0" { "1" } else { "0" };
            let changed = format!("{}{digit}{}", &text[..at], &text[at + 1..]);
            assert_eq!(seal.open(&changed, &[b"ci"], now), Err(SealError::Foreign), "{at}");
        }
        let shouted = text.to_uppercase();
        for wrong in ["", "00", &text[2..], &format!("{text}00"), &format!("{text} "), &*shouted] {
            assert_eq!(seal.open(wrong, &[b"ci"], now), Err(SealError::Foreign), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "\\PC{0,160}") {
            let now = Instant::now();
            prop_assert_eq!(Seal::new(now).open(&text, &[], now), Err(SealError::Foreign));
        }
    }
}

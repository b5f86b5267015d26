//! Bytes to lines, however the transport split them.
//!
//! Invariants:
//! - The same bytes give the same lines at every split.
//! - A line that arrives whole is lent from the input and never copied.
//! - No more than `frame_bytes_max` bytes are held, and nothing is held between lines.

/// A line grew past the decoder's limit. The stream is out of step; close it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("frame exceeds {frame_bytes_max} bytes")]
pub struct FrameTooLarge {
    /// The limit that was passed, in bytes.
    pub frame_bytes_max: usize,
}

/// A split-safe decoder of lines.
#[derive(Debug)]
pub struct Lines {
    partial: Vec<u8>,
    /// `partial` was lent as a whole line and is to be forgotten at the next call.
    lent: bool,
    frame_bytes_max: usize,
}

impl Lines {
    /// A decoder for frames of at most `frame_bytes_max` bytes without their newline.
    #[must_use]
    pub fn new(frame_bytes_max: usize) -> Self {
        Self { partial: Vec::new(), lent: false, frame_bytes_max }
    }

    /// Takes the next whole line out of `input`, without its line end; empty lines are skipped. `None`: all of
    /// `input` is consumed and what is left of a line is kept for the next one.
    ///
    /// # Errors
    /// [`FrameTooLarge`] when the line passes the limit.
    pub fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<&'a [u8]>, FrameTooLarge> {
        self.forget_lent();
        while !input.is_empty() {
            if self.partial.is_empty()
                && let Some(end) = memchr::memchr(b'\n', input)
            {
                let (line, rest) = input.split_at(end);
                *input = &rest[1..];
                if line.len() > self.frame_bytes_max {
                    return Err(FrameTooLarge { frame_bytes_max: self.frame_bytes_max });
                }
                match trim(line) {
                    [] => continue,
                    line => return Ok(Some(line)),
                }
            }
            let taken = absorb(&mut self.partial, input, self.frame_bytes_max)?;
            *input = &input[taken.consumed..];
            if taken.complete {
                if trim(&self.partial).is_empty() {
                    self.partial.clear();
                    continue;
                }
                self.lent = true;
                return Ok(Some(trim(&self.partial)));
            }
        }
        Ok(None)
    }

    /// The last line of a stream that ended without a newline, if there is one.
    pub fn finish(&mut self) -> Option<&[u8]> {
        self.forget_lent();
        let line = trim(&self.partial);
        (!line.is_empty()).then_some(line)
    }

    /// Whether part of a line is held.
    #[must_use]
    pub fn is_mid_line(&self) -> bool {
        !self.lent && !self.partial.is_empty()
    }

    fn forget_lent(&mut self) {
        if self.lent {
            self.lent = false;
            self.partial = Vec::new();
        }
    }
}

/// What [`absorb`] did with a chunk.
pub(crate) struct Absorbed {
    /// Bytes of the chunk used, the newline included.
    pub(crate) consumed: usize,
    /// Whether `partial` is now a whole line.
    pub(crate) complete: bool,
}

/// Appends to `partial` what `chunk` holds of its line.
pub(crate) fn absorb(
    partial: &mut Vec<u8>,
    chunk: &[u8],
    frame_bytes_max: usize,
) -> Result<Absorbed, FrameTooLarge> {
    let (part, consumed, complete) = match memchr::memchr(b'\n', chunk) {
        Some(end) => (&chunk[..end], end + 1, true),
        None => (chunk, chunk.len(), false),
    };
    let needed = partial.len() + part.len();
    if needed > frame_bytes_max {
        return Err(FrameTooLarge { frame_bytes_max });
    }
    if needed > partial.capacity() {
        // Doubling, but never past the limit: the limit is a promise about memory.
        let grown = needed.max(2 * partial.capacity()).min(frame_bytes_max);
        partial.reserve_exact(grown - partial.len());
    }
    partial.extend_from_slice(part);
    Ok(Absorbed { consumed, complete })
}

/// The line without a trailing `\r`.
pub(crate) fn trim(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode<'a>(
        chunks: impl IntoIterator<Item = &'a [u8]>,
        max: usize,
    ) -> Result<Vec<Vec<u8>>, FrameTooLarge> {
        let mut lines = Lines::new(max);
        let mut out = Vec::new();
        for mut chunk in chunks {
            while let Some(line) = lines.next(&mut chunk)? {
                out.push(line.to_vec());
            }
        }
        out.extend(lines.finish().map(<[u8]>::to_vec));
        Ok(out)
    }

    proptest! {
        #[test]
        fn the_same_bytes_give_the_same_lines_at_every_split(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'a'), any::<u8>()], 0..80),
            cuts in proptest::collection::vec(0usize..80, 0..6),
        ) {
            let whole = decode([bytes.as_slice()], 1024).unwrap();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.push(bytes.len());
            cuts.sort_unstable();
            let mut from = 0;
            let chunks = cuts.into_iter().map(|to| { let chunk = &bytes[from..to]; from = to; chunk });
            prop_assert_eq!(decode(chunks, 1024).unwrap(), whole);
        }

        #[test]
        fn no_line_and_no_buffer_passes_the_limit(
            chunks in proptest::collection::vec(proptest::collection::vec(prop_oneof![8 => Just(b'a'), 1 => Just(b'\n')], 0..40), 0..8),
        ) {
            let mut lines = Lines::new(32);
            'stream: for chunk in &chunks {
                let mut rest = chunk.as_slice();
                loop {
                    match lines.next(&mut rest) {
                        Ok(Some(line)) => prop_assert!(line.len() <= 32),
                        Ok(None) => break,
                        Err(_) => break 'stream,
                    }
                }
                prop_assert!(lines.partial.capacity() <= 32);
            }
        }
    }

    #[test]
    fn a_frame_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
        assert_eq!(decode([b"aaaa\n".as_slice()], 4).unwrap(), [b"aaaa"]);
        assert_eq!(decode([b"aaa".as_slice(), b"a\n"], 4).unwrap(), [b"aaaa"]);
        assert!(decode([b"aaaaa\n".as_slice()], 4).is_err());
        assert!(decode([b"aaa".as_slice(), b"aa"], 4).is_err());
    }

    #[test]
    fn nothing_is_held_between_lines() {
        let mut lines = Lines::new(1024);
        let mut input = b"half".as_slice();
        assert_eq!(lines.next(&mut input), Ok(None));
        assert!(lines.is_mid_line());
        let mut input = b" a line\n".as_slice();
        assert_eq!(lines.next(&mut input), Ok(Some(b"half a line".as_slice())));
        let mut input = b"".as_slice();
        assert_eq!(lines.next(&mut input), Ok(None));
        assert_eq!(lines.partial.capacity(), 0);
    }
}

//! What the wire is fuzzed with: each check takes any bytes and panics where a promise is broken.
//!
//! `fuzz/` feeds them what it makes up, `tests/seeds.rs` what is checked in under `fuzz/seeds`. Compiled with the
//! feature `testing` only.

#![expect(clippy::missing_panics_doc, reason = "a check fails by panicking")]

mod answer;
mod frame;
mod request;

pub use answer::answer;
pub use frame::frame;
pub use request::request;

use std::fs;
use std::path::Path;

/// Splits `input` into a stream and the chunks it arrives in. The first line says how long these are: the low five
/// bits of each byte, so `a` is 1 and `z` is 26, over and over. The rest of the input is the stream; where no line
/// gives a length it arrives whole.
#[must_use]
pub fn chunked(input: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let (lengths, stream) = match memchr::memchr(b'\n', input) {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (&[][..], input),
    };
    let mut lengths =
        lengths.iter().map(|byte| usize::from(byte & 0x1f)).filter(|&length| length > 0).cycle();
    let mut chunks = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(lengths.next().unwrap_or(rest.len()).min(rest.len()));
        chunks.push(chunk);
        rest = after;
    }
    (stream, chunks)
}

/// Puts `check` to every seed of the target, and to each seed cut short or with a byte changed.
pub fn replay(target: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let seeds: Vec<_> = fs::read_dir(&folder)
        .and_then(Iterator::collect::<Result<_, _>>)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    assert!(!seeds.is_empty(), "{target} has no seeds");
    for seed in seeds {
        let name = seed.path();
        let bytes = fs::read(&name).unwrap_or_else(|error| panic!("{}: {error}", name.display()));
        // Captured by the test harness: shown where a seed fails.
        println!("{}", name.display());
        check(&bytes);
        for at in 0..bytes.len().min(DAMAGED_MAX) {
            check(&bytes[..at]);
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            check(&damaged);
        }
    }
}

/// How many of a seed's bytes [`replay`] damages: the nested ones are long.
const DAMAGED_MAX: usize = 512;
